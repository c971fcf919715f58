#include "daemon/options.h"

#include <algorithm>

#include "base/status.h"

namespace mlad {

TopologyOptions MakeTopologyOptions(const ModelOptions& options) {
  TopologyOptions result;
  result.source = options.topology;
  result.nodes = options.nodes;
  result.threads_per_node = options.threads_per_node;
  result.cpus = options.cpus;
  return result;
}

absl::StatusOr<ExpertPlan> MakeExpertPlan(const ModelOptions& options) {
  ExpertPlan plan;
  MLAD_ASSIGN_OR_RETURN(plan.placement,
                        ParseMoePlacement(options.moe_placement));
  plan.replicas = options.replicate_experts;
  if (plan.replicas > 0 && plan.placement == MoePlacement::kSliced) {
    return absl::InvalidArgumentError(
        "sliced experts have a part on every node already and cannot be "
        "replicated; add --moe-placement whole or leave out "
        "--replicate-experts");
  }
  return plan;
}

ContextSizes ChooseContext(const ModelOptions& options,
                           int64_t trained_tokens) {
  ContextSizes sizes;
  sizes.context_tokens =
      options.context.value_or(std::min(trained_tokens, kMaxDefaultContext));
  const int64_t default_cache =
      options.context.has_value()
          ? sizes.context_tokens
          : std::max(sizes.context_tokens, kMinDefaultCacheTokens);
  sizes.cache_tokens = options.cache_tokens.value_or(default_cache);
  sizes.context_tokens = std::min(sizes.context_tokens, sizes.cache_tokens);
  return sizes;
}

}  // namespace mlad
