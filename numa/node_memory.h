// Memory with a home: regions bound to one NUMA node before first touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "numa/topology.h"

namespace mlad {

/// Zero-filled anonymous memory, page aligned, bound to its node's memory and
/// advised to use transparent huge pages when large. Unmapped on destruction.
class NodeRegion {
 public:
  /// Errors: kResourceExhausted when the node has not enough free memory or
  /// mmap fails, kFailedPrecondition when binding fails; the message names
  /// `purpose`, the node and the sizes.
  static absl::StatusOr<NodeRegion> Allocate(const Topology& topology, int node,
                                             int64_t bytes,
                                             std::string_view purpose);
  NodeRegion() = default;
  ~NodeRegion();
  NodeRegion(NodeRegion&& other) noexcept;
  NodeRegion& operator=(NodeRegion&& other) noexcept;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  int node() const { return node_; }

  /// Touched pages of the region that the kernel holds on another node, by
  /// move_pages over every page. Untouched pages do not count.
  absl::StatusOr<int64_t> CountMisplacedPages(const Topology& topology) const;

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  int node_ = 0;
};

}  // namespace mlad
