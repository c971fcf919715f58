#include "numa/machine_nodes.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <hwloc.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status.h"
#include "numa/cpu_list.h"
#include "numa/free_memory.h"
#include "numa/thread_binding.h"

namespace mlad {
namespace {

/// The memory-backed node whose CPUs include `pu` most narrowly: memory that is
/// attached to a whole machine or package comes after a node's own, and of two
/// kinds of memory at the same CPUs the larger comes first.
int NearestNode(const std::vector<hwloc_obj_t>& nodes, unsigned pu) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
    if (!hwloc_bitmap_isset(nodes[i]->cpuset, pu)) continue;
    const auto rank = [&](int n) {
      return std::pair(
          hwloc_bitmap_weight(nodes[n]->cpuset),
          -static_cast<int64_t>(nodes[n]->attr->numanode.local_memory));
    };
    if (best < 0 || rank(i) < rank(best)) best = i;
  }
  return best;
}

std::vector<int> CpusOf(hwloc_const_cpuset_t set) {
  std::vector<int> cpus;
  for (int pu = hwloc_bitmap_first(set); pu >= 0;
       pu = hwloc_bitmap_next(set, pu)) {
    cpus.push_back(pu);
  }
  return cpus;
}

/// The CPUs of the topology that this process may use and the filter lets
/// through, ascending.
absl::StatusOr<std::vector<int>> UsableCpus(hwloc_topology* topology,
                                            const MachineFilter& filter) {
  std::vector<int> usable = CpusOf(hwloc_topology_get_allowed_cpuset(topology));
  if (filter.this_machine) {
    const std::vector<int> affinity = AllowedCpus();
    std::vector<int> both;
    std::ranges::set_intersection(usable, affinity, std::back_inserter(both));
    if (!affinity.empty()) usable = std::move(both);
  }
  for (int cpu : filter.cpus) {
    if (std::ranges::binary_search(usable, cpu)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("CPU ", cpu,
                     " was asked for, but is not there, is offline or may not "
                     "be used; the CPUs that may are ",
                     FormatCpuList(usable)));
  }
  return filter.cpus.empty() ? usable : filter.cpus;
}

int L3GroupOf(hwloc_topology* topology, hwloc_obj_t core) {
  const hwloc_obj_t l3 =
      hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_L3CACHE, core);
  return l3 == nullptr ? -1 : static_cast<int>(l3->logical_index);
}

/// A memory attribute of the node as its own CPUs see it; 0 when not known.
int64_t LocalAttribute(hwloc_topology* topology, hwloc_memattr_id_t attribute,
                       hwloc_obj_t node) {
  hwloc_location initiator = {};
  initiator.type = HWLOC_LOCATION_TYPE_CPUSET;
  initiator.location.cpuset = node->cpuset;
  hwloc_uint64_t value = 0;
  if (hwloc_memattr_get_value(topology, attribute, node, &initiator, 0,
                              &value) != 0) {
    return 0;
  }
  return static_cast<int64_t>(value);
}

MachineNode DescribeNode(hwloc_topology* topology, hwloc_obj_t node,
                         int64_t memory_bytes) {
  MachineNode result;
  result.os_index = static_cast<int>(node->os_index);
  const hwloc_obj_t package =
      hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, node);
  if (package != nullptr) {
    result.package = static_cast<int>(package->logical_index);
  }
  result.memory_bytes = memory_bytes;
  result.bandwidth_mb_s =
      LocalAttribute(topology, HWLOC_MEMATTR_ID_BANDWIDTH, node);
  result.latency_ns = LocalAttribute(topology, HWLOC_MEMATTR_ID_LATENCY, node);
  return result;
}

/// Fills result.nodes, without cores, and returns their objects.
std::vector<hwloc_obj_t> FindMemory(hwloc_topology* topology,
                                    const MachineFilter& filter,
                                    MachineNodes& result) {
  result.one_node_machine =
      hwloc_bitmap_weight(hwloc_topology_get_complete_nodeset(topology)) == 1;
  std::vector<hwloc_obj_t> objects;
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE,
                                          node)) != nullptr;) {
    int64_t bytes = static_cast<int64_t>(node->attr->numanode.local_memory);
    // The kernel may account memory to the machine before the node has it.
    if (filter.this_machine && result.one_node_machine) {
      bytes = std::max(bytes, FreeMemory().MachineTotalBytes());
    }
    if (filter.memory_stated && bytes == 0) {
      result.notes.push_back(absl::StrFormat(
          "NUMA node %d has no memory: its CPUs %s are not used",
          node->os_index, FormatCpuList(CpusOf(node->cpuset))));
      continue;
    }
    objects.push_back(node);
    result.nodes.push_back(
        DescribeNode(topology, node, filter.memory_stated ? bytes : 0));
  }
  return objects;
}

void NoteUnusedCpus(hwloc_topology* topology, size_t usable,
                    std::vector<std::string>& notes) {
  const int all =
      hwloc_bitmap_weight(hwloc_topology_get_complete_cpuset(topology));
  if (all > static_cast<int>(usable)) {
    notes.push_back(absl::StrFormat(
        "%d of the machine's %d hardware threads are offline or outside this "
        "process's cgroup, affinity or list of CPUs",
        all - static_cast<int>(usable), all));
  }
}

/// Of CPUs that no memory is near to, those whose node is there and may not be
/// used: hwloc shows no node over them.
void NoteHomelessCpus(hwloc_topology* topology, const std::vector<int>& cpus,
                      std::vector<std::string>& notes) {
  hwloc_bitmap_t with_node = hwloc_bitmap_alloc();
  for (hwloc_obj_t node = nullptr;
       (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE,
                                          node)) != nullptr;) {
    hwloc_bitmap_or(with_node, with_node, node->cpuset);
  }
  std::vector<int> homeless;
  std::ranges::copy_if(cpus, std::back_inserter(homeless), [&](int cpu) {
    return hwloc_bitmap_isset(with_node, cpu) == 0;
  });
  hwloc_bitmap_free(with_node);
  if (homeless.empty()) return;
  std::ranges::sort(homeless);
  notes.push_back(absl::StrFormat(
      "CPUs %s are not used: the memory of their NUMA node may not be used "
      "(cpuset.mems)",
      FormatCpuList(homeless)));
}

}  // namespace

absl::StatusOr<MachineNodes> FindMachineNodes(hwloc_topology* topology,
                                              const MachineFilter& filter) {
  MachineNodes result;
  MLAD_ASSIGN_OR_RETURN(const std::vector<int> usable,
                        UsableCpus(topology, filter));
  NoteUnusedCpus(topology, usable.size(), result.notes);
  const std::vector<hwloc_obj_t> memory = FindMemory(topology, filter, result);
  result.memory_nodes = static_cast<int>(memory.size());
  const bool has_cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0;
  std::vector<int> homeless;
  const hwloc_obj_type_t unit = has_cores ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
  for (hwloc_obj_t object = nullptr;
       (object = hwloc_get_next_obj_by_type(topology, unit, object)) !=
       nullptr;) {
    MachineCore core;
    std::ranges::set_intersection(CpusOf(object->cpuset), usable,
                                  std::back_inserter(core.threads));
    if (core.threads.empty()) continue;
    core.l3_group = L3GroupOf(topology, object);
    const int home = NearestNode(memory, core.threads.front());
    if (home >= 0) {
      result.nodes[home].cores.push_back(std::move(core));
    } else {
      std::ranges::copy(core.threads, std::back_inserter(homeless));
    }
  }
  NoteHomelessCpus(topology, homeless, result.notes);
  std::erase_if(result.nodes, [&](const MachineNode& node) {
    if (!node.cores.empty()) return false;
    result.notes.push_back(absl::StrFormat(
        "NUMA node %d has no usable CPUs: its memory is not used",
        node.os_index));
    return true;
  });
  return result;
}

}  // namespace mlad
