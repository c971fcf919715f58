// Memory with a home: regions bound to one NUMA node before first touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "numa/topology.h"

namespace mlad {

class MemoryLedger;

/// What move_pages says about the pages of a region.
struct PlacementReport {
  int64_t region_pages = 0;     // of page_bytes
  int64_t pages_checked = 0;    // fewer than region_pages: an even sample
  int64_t pages_touched = 0;    // of those checked; only these can be misplaced
  int64_t pages_misplaced = 0;  // of those touched
  int64_t page_bytes = 0;
  int64_t pages_moved = 0;  // by CorrectMisplacedPages

  PlacementReport& operator+=(const PlacementReport& other);
};

/// Zero-filled memory, aligned to its pages, bound to its node's memory before
/// first touch: huge pages from the node's pools where these hold all of it,
/// else transparent huge pages where it is large. Unmapped on destruction.
class NodeRegion {
 public:
  enum class Backing : uint8_t {
    kAnonymous,
    /// A file in memory (memfd): what it holds lasts as long as somebody has a
    /// descriptor of it, beyond this process. Transparent huge pages come where
    /// /sys/kernel/mm/transparent_hugepage/shmem_enabled allows them.
    kFile,
  };

  /// Errors: kResourceExhausted when the node has not enough free memory or
  /// mmap fails, kFailedPrecondition when binding fails; the message names
  /// `purpose`, the node and the sizes.
  static absl::StatusOr<NodeRegion> Allocate(
      const Topology& topology, int node, int64_t bytes,
      std::string_view purpose, Backing backing = Backing::kAnonymous);
  /// The memory behind `descriptor`, with what an earlier process has left in
  /// it. Takes the descriptor over, also when it fails.
  /// Errors: kDataLoss when it is no file of kFile's kind and of that size;
  /// kResourceExhausted and kFailedPrecondition as Allocate.
  static absl::StatusOr<NodeRegion> Attach(const Topology& topology, int node,
                                           int64_t bytes,
                                           std::string_view purpose,
                                           int descriptor);
  NodeRegion() = default;
  ~NodeRegion();
  NodeRegion(NodeRegion&& other) noexcept;
  NodeRegion& operator=(NodeRegion&& other) noexcept;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  int node() const { return node_; }
  /// What it was allocated for.
  const std::string& purpose() const { return purpose_; }
  /// Of kFile's file; -1 for kAnonymous.
  int descriptor() const { return descriptor_; }
  /// Of the pool it came from; the base page size when it came from none.
  int64_t page_bytes() const { return page_bytes_; }

  /// Touches every page, content unchanged: a node that runs out of memory
  /// does so here and not in a step, and CheckPlacement sees all pages. Kernels
  /// before 5.14 cannot: pages come when they are first used.
  /// Errors: kResourceExhausted naming the purpose, the node and the size.
  absl::Status Populate(const Topology& topology) const;

  /// Asks move_pages where the pages are; above kFullCheckBytes an even sample.
  /// Errors: kFailedPrecondition when the kernel does not answer, unless the
  /// machine has one memory node: nothing can be misplaced, no page is checked.
  absl::StatusOr<PlacementReport> CheckPlacement(
      const Topology& topology) const;
  /// Touched pages of the region that the kernel holds on another node.
  /// Untouched pages do not count.
  absl::StatusOr<int64_t> CountMisplacedPages(const Topology& topology) const;
  /// Moves misplaced pages home; looks at all pages whatever the size. What is
  /// still misplaced is in the report. No other thread may be adding pages.
  absl::StatusOr<PlacementReport> CorrectMisplacedPages(
      const Topology& topology) const;

  static constexpr int64_t kFullCheckBytes = int64_t{64} << 30;

 private:
  absl::Status Reserve(const Topology& topology);
  absl::Status Map();
  absl::Status MakeFile(unsigned flags);
  absl::Status MapFile();
  absl::Status Bind(const Topology& topology) const;
  bool MapFromPool(const Topology& topology, int64_t huge_page_bytes,
                   Backing backing);
  void Unmap();
  absl::StatusOr<PlacementReport> CheckEvery(const Topology& topology,
                                             int64_t stride) const;

  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;         // asked for
  int64_t mapped_bytes_ = 0;  // rounded up to pages
  int64_t page_bytes_ = 0;
  int node_ = 0;
  int os_node_ = 0;
  int descriptor_ = -1;
  std::string purpose_;
  std::shared_ptr<MemoryLedger> ledger_;  // outlives the topology if need be
};

}  // namespace mlad
