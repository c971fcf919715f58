#include "attention/latent_cache.h"

#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace mlad {

absl::StatusOr<std::unique_ptr<LatentCache>> LatentCache::Create(
    const Topology& topology, const LatentCacheShape& shape,
    absl::Span<const int64_t> pages_per_node) {
  MLAD_CHECK(static_cast<int>(pages_per_node.size()) == topology.node_count());
  auto cache = std::make_unique<LatentCache>();
  cache->shape_ = shape;
  MLAD_ASSIGN_OR_RETURN(cache->row_bytes_,
                        KvRowBytes(shape.type, shape.row_elements));
  for (int node = 0; node < topology.node_count(); ++node) {
    NodeRegion region;
    if (pages_per_node[node] > 0) {
      MLAD_ASSIGN_OR_RETURN(
          region, NodeRegion::Allocate(
                      topology, node,
                      pages_per_node[node] * cache->page_bytes(), "KV cache"));
    }
    cache->regions_.push_back(std::move(region));
  }
  return cache;
}

}  // namespace mlad
