// The machine as mlad sees it: NUMA nodes with their cores and memory.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

struct hwloc_topology;

namespace mlad {

class MemoryLedger;
struct MachineNode;

/// Where the description comes from and how much of the machine is used.
struct TopologyOptions {
  /// Empty: this machine; else a synthetic string or the name of an .xml file.
  std::string source = {};
  int nodes = 0;             // 0: as many as the machine has
  int threads_per_node = 0;  // 0: one per core of the node
  std::string cpus = {};     // like "0-3,8"; empty: all that may be used
};

inline constexpr int kMaxNodes = 32;
/// Simulated nodes may share cores; this bounds by how much.
inline constexpr int kMaxSimulatedThreadsPerNode = 256;

/// One NUMA node, or, when more nodes are asked for than the machine has, one
/// simulated node: some of a real node's cores, with memory of that real node.
struct NodeDescription {
  int node = 0;      // index in mlad: 0, 1, ...
  int os_index = 0;  // the kernel's number of the node its memory is on
  int package = -1;  // the socket; -1: not known
  bool simulated = false;
  std::vector<int> cpus;       // [workers] OS index of a hardware thread
  std::vector<int> l3_groups;  // [workers] the machine's L3 cache (EPYC: CCD)
                               // over that thread; -1: not known
  int cores = 0;               // usable, whether or not a worker has them
  int hardware_threads = 0;    // of these cores, SMT siblings included
  int64_t memory_bytes = 0;    // this node's share; 0: a synthetic string that
                               // does not say
  int64_t bandwidth_mb_s = 0;  // of its memory as the firmware tells; 0: it
  int64_t latency_ns = 0;      // does not
  /// [nodes] The firmware's relative distance (SLIT: 10 is local) to each
  /// node's memory; empty when it does not tell.
  std::vector<int> distances;
};

class Topology {
 public:
  /// Cores come in hwloc's logical order, one hardware thread each; siblings
  /// are used only when threads_per_node exceeds the cores. CPUs and nodes
  /// outside the cgroup and CPUs outside the calling thread's affinity do not
  /// exist.
  ///
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
  /// Sentences about what of the machine is not used, and why.
  absl::Span<const std::string> notes() const { return notes_; }
  /// Memory-backed NUMA nodes of the described machine, used or not.
  int real_node_count() const { return real_node_count_; }
  /// The machine has no other node, not even one that may not be used: all its
  /// free memory is that node's.
  bool one_node_machine() const { return one_node_machine_; }
  /// False for XML and synthetic topologies: they can be planned, not run on.
  bool is_this_machine() const { return is_this_machine_; }
  hwloc_topology* handle() const { return handle_; }
  /// The firmware's relative distance (SLIT: 10 is local) between the memories
  /// of two nodes; empty when it does not tell.
  std::optional<int> Distance(int from, int to) const;
  /// What NodeRegions have been promised of the nodes' memory.
  const std::shared_ptr<MemoryLedger>& memory_ledger() const {
    return memory_ledger_;
  }

 private:
  Topology();
  absl::Status ChooseNodes(const std::vector<MachineNode>& found,
                           const TopologyOptions& options);
  void DescribeDistances();

  hwloc_topology* handle_ = nullptr;
  std::vector<NodeDescription> nodes_;
  std::vector<std::string> notes_;
  std::map<std::pair<int, int>, int> distances_;  // by os_index
  int real_node_count_ = 0;
  bool one_node_machine_ = true;
  bool is_this_machine_ = true;
  std::shared_ptr<MemoryLedger> memory_ledger_;
};

}  // namespace mlad
