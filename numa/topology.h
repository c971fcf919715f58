// The machine as mlad sees it: NUMA nodes with their cores and memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

struct hwloc_topology;

namespace mlad {

/// Where the description comes from and how much of the machine is used.
struct TopologyOptions {
  std::string source;  // empty: this machine; else synthetic string or .xml file
  int nodes = 0;             // 0: as many as the machine has
  int threads_per_node = 0;  // 0: one per core of the node
};

/// One NUMA node, or, when more nodes are asked for than the machine has, one
/// simulated node: some of a real node's cores, with memory of that real node.
struct NodeDescription {
  int node = 0;             // index in mlad: 0, 1, ...
  int os_index = 0;         // the kernel's number of the node its memory is on
  bool simulated = false;
  std::vector<int> cpus;    // OS index of one hardware thread per worker
  int64_t memory_bytes = 0;  // this node's share
};

class Topology {
 public:
  /// Errors: kInvalidArgument for a malformed synthetic string or XML file or
  /// options out of range; kFailedPrecondition when no node has both CPUs and
  /// memory. Messages say what to change.
  static absl::StatusOr<std::unique_ptr<Topology>> Create(
      const TopologyOptions& options);
  ~Topology();
  Topology(const Topology&) = delete;
  Topology& operator=(const Topology&) = delete;

  absl::Span<const NodeDescription> nodes() const { return nodes_; }
  int node_count() const { return static_cast<int>(nodes_.size()); }
  /// False for XML and synthetic topologies: they can be planned, not run on.
  bool is_this_machine() const { return is_this_machine_; }
  hwloc_topology* handle() const { return handle_; }

 private:
  Topology() = default;
  hwloc_topology* handle_ = nullptr;
  std::vector<NodeDescription> nodes_;
  bool is_this_machine_ = true;
};

}  // namespace mlad
