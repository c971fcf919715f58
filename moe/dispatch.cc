#include "moe/dispatch.h"

#include <algorithm>

#include "base/check.h"
#include "numa/topology.h"

namespace mlad {

ExpertDispatch::ExpertDispatch(int64_t experts, int64_t experts_per_token,
                               int64_t max_tokens)
    : experts_per_token_(experts_per_token),
      begin_(experts + 1),
      next_(experts),
      node_of_(experts),
      slots_(max_tokens * experts_per_token + 1),
      tokens_(slots_.size()),
      weights_(slots_.size()) {}

void ExpertDispatch::Build(const int32_t* ids, const float* weights,
                           int64_t tokens) {
  const int64_t pairs = tokens * experts_per_token_;
  MLAD_DCHECK(pairs < static_cast<int64_t>(slots_.size()));
  std::fill(begin_.begin(), begin_.end(), 0);
  for (int64_t slot = 0; slot < pairs; ++slot) ++begin_[ids[slot] + 1];
  for (size_t e = 1; e < begin_.size(); ++e) begin_[e] += begin_[e - 1];
  std::copy(begin_.begin(), begin_.end() - 1, next_.begin());
  for (int64_t slot = 0; slot < pairs; ++slot) {
    const int64_t at = next_[ids[slot]]++;
    slots_[at] = static_cast<int32_t>(slot);
    tokens_[at] = static_cast<int32_t>(slot / experts_per_token_);
    weights_[at] = weights[slot];
  }
}

void ExpertDispatch::AssignNodes(const ExpertCopies& copies, int nodes) {
  int64_t given[kMaxNodes] = {};
  const auto assign = [&](int64_t expert, int node) {
    node_of_[expert] = static_cast<int8_t>(node);
    given[node] += ExpertPanelCost(Count(expert));
  };
  const auto only_node = [&](int64_t expert) {
    int found = -1;
    for (int n = 0; n < nodes; ++n) {
      if (!copies.Has(expert, n)) continue;
      if (found >= 0) return -1;
      found = n;
    }
    return found;
  };
  for (int64_t e = 0; e < experts(); ++e) {
    node_of_[e] = -1;
    if (Count(e) == 0) continue;
    if (const int node = only_node(e); node >= 0) assign(e, node);
  }
  for (int64_t e = 0; e < experts(); ++e) {
    if (Count(e) == 0 || node_of_[e] >= 0) continue;
    int best = -1;
    for (int n = 0; n < nodes; ++n) {
      if (copies.Has(e, n) && (best < 0 || given[n] < given[best])) best = n;
    }
    assign(e, best);
  }
}

}  // namespace mlad
