#include "attention/latent_cache.h"

#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace mlad {

absl::StatusOr<std::unique_ptr<LatentCache>> LatentCache::Create(
    const Topology& topology, const LatentCacheShape& shape,
    absl::Span<const int64_t> pages_per_node, MakeRegion make,
    bool with_notes) {
  MLAD_CHECK(static_cast<int>(pages_per_node.size()) == topology.node_count());
  if (make == nullptr) {
    make = [&](int node, int64_t bytes, std::string_view purpose) {
      return NodeRegion::Allocate(topology, node, bytes, purpose);
    };
  }
  auto cache = std::make_unique<LatentCache>();
  cache->shape_ = shape;
  MLAD_ASSIGN_OR_RETURN(cache->row_bytes_,
                        KvRowBytes(shape.type, shape.row_elements));
  for (int node = 0; node < topology.node_count(); ++node) {
    NodeRegion& region = cache->regions_.emplace_back();
    NodeRegion* const notes =
        with_notes ? &cache->notes_.emplace_back() : nullptr;
    const int64_t pages = pages_per_node[node];
    if (pages == 0) continue;
    MLAD_ASSIGN_OR_RETURN(region,
                          make(node, pages * cache->page_bytes(), "KV cache"));
    if (notes == nullptr) continue;
    MLAD_ASSIGN_OR_RETURN(*notes,
                          make(node, pages * kPageNoteBytes, "page notes"));
  }
  return cache;
}

}  // namespace mlad
