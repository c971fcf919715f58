// The latent KV cache: pages of kPagePositions positions, each with the rows of
// all layers, living on one NUMA node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "numa/node_memory.h"
#include "quant/kv_type.h"

namespace mlad {

inline constexpr int kPagePositions = 32;

/// Lanes of the fixed reduction tree. Page p of a sequence belongs to lane
/// p % kLanes; within a lane positions are reduced in ascending order, then
/// lanes are merged pairwise at strides 16, 8, 4, 2, 1. Lane l lives on node
/// (l + first_node) % nodes, so with 1, 2, 4 or 8 nodes every node merges its
/// own lanes first and the tree, hence every bit, is the same.
inline constexpr int kLanes = 32;

/// The node that holds lane `lane` of a sequence.
inline int LaneNode(int lane, int first_node, int nodes) {
  return (lane + first_node) % nodes;
}

struct PageRef {
  int32_t node = 0;
  int32_t index = 0;  // within the node's pages
  bool operator==(const PageRef&) const = default;
};

/// The pages of one sequence, in order of position.
struct PageTable {
  int first_node = 0;
  std::vector<PageRef> pages;

  int64_t capacity_tokens() const {
    return static_cast<int64_t>(pages.size()) * kPagePositions;
  }
};

/// Hands out the pages of all nodes and counts who holds them; bookkeeping
/// only, no memory. Thread-safe.
class PageAllocator {
 public:
  explicit PageAllocator(std::vector<int64_t> pages_per_node);
  ~PageAllocator();

  /// A table without pages whose first node rotates from call to call.
  PageTable NewTable();
  /// Extends `table` to hold `tokens` tokens. All or nothing.
  /// Errors: kResourceExhausted naming the node, pages needed and free.
  absl::Status Grow(PageTable& table, int64_t tokens);
  /// Gives all pages back: those that nobody else holds are free then.
  void Release(PageTable& table);
  /// One more holder of a page that somebody holds; its rows must not be
  /// written any more.
  void Share(PageRef page);
  /// Makes the caller the holder of a certain page; false when it is not free.
  bool TakeFree(PageRef page);
  /// One holder less; of the last one, the page is free then.
  void Drop(PageRef page);

  int nodes() const;
  int64_t capacity_pages(int node) const;
  int64_t used_pages(int node) const;
  int64_t free_pages(int node) const;
  /// Pages on all nodes that a table of that many tokens needs at most.
  static int64_t PagesForTokens(int64_t tokens);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct LatentCacheShape {
  KvType type = KvType::kF16;
  int64_t layers = 0;
  int64_t row_elements = 0;  // kv_lora_rank + qk_rope_head_dim
};

/// Bytes beside each page of a cache that outlives the process, for whoever
/// knows what the page holds. Zero at first.
inline constexpr int64_t kPageNoteBytes = 192;

/// The storage behind PageRefs.
class LatentCache {
 public:
  /// `make` makes the node's memory, NodeRegion::Allocate by default. With
  /// `with_notes` there is room for notes beside the pages.
  /// Errors: those of KvRowBytes and of `make`.
  using MakeRegion = std::function<absl::StatusOr<NodeRegion>(
      int node, int64_t bytes, std::string_view purpose)>;
  static absl::StatusOr<std::unique_ptr<LatentCache>> Create(
      const Topology& topology, const LatentCacheShape& shape,
      absl::Span<const int64_t> pages_per_node, MakeRegion make = nullptr,
      bool with_notes = false);

  const LatentCacheShape& shape() const { return shape_; }
  int64_t row_bytes() const { return row_bytes_; }
  int64_t page_bytes() const {
    return shape_.layers * kPagePositions * row_bytes_;
  }
  /// The kPagePositions stored rows of one layer of a page, contiguous.
  std::byte* Rows(PageRef page, int64_t layer) const {
    return regions_[page.node].data() + page.index * page_bytes() +
           layer * kPagePositions * row_bytes_;
  }
  /// The stored row of one position of a sequence.
  std::byte* Row(const PageTable& table, int64_t position,
                 int64_t layer) const {
    return Rows(table.pages[position / kPagePositions], layer) +
           position % kPagePositions * row_bytes_;
  }
  absl::Span<const NodeRegion> regions() const { return regions_; }
  /// [nodes], kPageNoteBytes for each page; empty without notes.
  absl::Span<const NodeRegion> notes() const { return notes_; }

 private:
  LatentCacheShape shape_;
  int64_t row_bytes_ = 0;
  std::vector<NodeRegion> regions_;
  std::vector<NodeRegion> notes_;
};

}  // namespace mlad
