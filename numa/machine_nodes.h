// The NUMA nodes hwloc finds, before it is decided which of them mlad uses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

struct hwloc_topology;

namespace mlad {

struct MachineCore {
  std::vector<int> threads;  // OS indices of its usable hardware threads
  int l3_group = -1;         // which L3 cache it is under; -1: none known
};

/// A node that has memory, and the cores that are nearest to it.
struct MachineNode {
  int os_index = 0;
  int package = -1;          // -1: the node is not inside one
  int64_t memory_bytes = 0;  // 0: not stated
  int64_t bandwidth_mb_s = 0;
  int64_t latency_ns = 0;
  std::vector<MachineCore> cores;  // hwloc's order: neighbours share caches

  int core_count() const { return static_cast<int>(cores.size()); }
};

struct MachineNodes {
  std::vector<MachineNode> nodes;  // with cores and memory, hwloc's order
  std::vector<std::string> notes;  // what was left out
  int memory_nodes = 0;            // with memory, whether or not with cores
  bool one_node_machine = false;   // nodes that may not be used count
};

/// What FindMachineNodes is to believe and to use.
struct MachineFilter {
  bool this_machine = true;
  bool memory_stated = true;   // see StatesMemory
  std::vector<int> cpus = {};  // ascending; empty: all
};

/// Errors: kInvalidArgument when the filter names a CPU that is not there or
/// may not be used.
absl::StatusOr<MachineNodes> FindMachineNodes(hwloc_topology* topology,
                                              const MachineFilter& filter);

}  // namespace mlad
