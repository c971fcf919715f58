#include <iostream>

#include "base/status.h"
#include "daemon/commands.h"
#include "daemon/model_source.h"
#include "model/loaded_model.h"
#include "numa/placement_plan.h"
#include "numa/topology.h"

namespace mlad {
namespace {

absl::StatusOr<PlacementPlan> MakePlan(const ModelOptions& options) {
  MLAD_ASSIGN_OR_RETURN(const KvType kv_type, ParseKvType(options.kv));
  MLAD_ASSIGN_OR_RETURN(const auto topology,
                        Topology::Create(MakeTopologyOptions(options)));
  MLAD_ASSIGN_OR_RETURN(const ModelSource source,
                        OpenModel(options, /*header_only=*/true));
  const ContextSizes sizes =
      ChooseContext(options, source.shape.max_position_embeddings);
  LoadOptions load;
  load.kv_type = kv_type;
  MLAD_ASSIGN_OR_RETURN(load.experts, MakeExpertPlan(options));
  load.cache_tokens = sizes.cache_tokens;
  return PlanModel(*source.file, source.shape, *topology, load);
}

}  // namespace

int RunPlan(const PlanOptions& options) {
  const auto plan = MakePlan(options.model);
  if (!plan.ok()) return ReportFailure(plan.status());
  std::cout << (options.json ? PlanAsJson(*plan) : PlanAsText(*plan)) << "\n";
  return 0;
}

}  // namespace mlad
