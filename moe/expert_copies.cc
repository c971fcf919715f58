#include "moe/expert_copies.h"

#include "numa/placement_plan.h"

namespace mlad {

ExpertCopies ExpertCopies::AtHome(int64_t experts, int nodes) {
  ExpertCopies copies;
  copies.nodes_.assign(experts, 0);
  for (int64_t e = 0; e < experts; ++e) copies.Add(e, ExpertHome(e, nodes));
  return copies;
}

}  // namespace mlad
