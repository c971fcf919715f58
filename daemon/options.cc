#include "daemon/options.h"

#include <algorithm>

namespace mlad {

TopologyOptions MakeTopologyOptions(const ModelOptions& options) {
  TopologyOptions result;
  result.source = options.topology;
  result.nodes = options.nodes;
  result.threads_per_node = options.threads_per_node;
  result.cpus = options.cpus;
  return result;
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
