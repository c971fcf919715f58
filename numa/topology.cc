#include "numa/topology.h"

#include <algorithm>
#include <utility>

#include <hwloc.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status.h"
#include "numa/cpu_list.h"
#include "numa/machine_nodes.h"
#include "numa/memory_ledger.h"
#include "numa/topology_source.h"
#include "numa/work_range.h"

namespace mlad {
namespace {

absl::Status CheckOptions(const TopologyOptions& options) {
  if (options.nodes < 0 || options.nodes > kMaxNodes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d nodes were asked for; use 1 to %d, or 0 for as "
                        "many as the machine has",
                        options.nodes, kMaxNodes));
  }
  if (options.threads_per_node < 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d threads per node were asked for; use 1 or more, or "
                        "0 for one per core",
                        options.threads_per_node));
  }
  return absl::OkStatus();
}

/// The cores of part `index` of `parts` of a node; parts share cores when there
/// are fewer than parts.
std::vector<MachineCore> CoresOfPart(const MachineNode& real, int parts,
                                     int index) {
  if (real.core_count() < parts) return {real.cores[index % real.core_count()]};
  const WorkRange range = SplitEvenly(real.core_count(), parts, index);
  return {real.cores.begin() + range.begin, real.cores.begin() + range.end};
}

/// Gives each of `workers` a hardware thread: of cores spread evenly when there
/// are enough, else first one thread of every core, then the second ones, and
/// so on; simulated nodes start again when all are taken.
void AssignWorkers(const std::vector<MachineCore>& cores, int workers,
                   NodeDescription& node) {
  const int core_count = static_cast<int>(cores.size());
  const auto assign = [&](const MachineCore& core, size_t sibling) {
    node.cpus.push_back(core.threads[sibling]);
    node.l3_groups.push_back(core.l3_group);
  };
  if (workers <= core_count) {
    for (int w = 0; w < workers; ++w) {
      assign(cores[static_cast<int64_t>(w) * core_count / workers], 0);
    }
    return;
  }
  const auto done = [&] {
    return static_cast<int>(node.cpus.size()) == workers;
  };
  while (!done()) {
    for (size_t sibling = 0, widest = 1; sibling < widest; ++sibling) {
      for (const MachineCore& core : cores) {
        widest = std::max(widest, core.threads.size());
        if (sibling < core.threads.size() && !done()) assign(core, sibling);
      }
    }
  }
}

/// Part `index` of `parts` of a real node; parts > 1 makes it simulated.
absl::StatusOr<NodeDescription> DescribePart(const MachineNode& real, int parts,
                                             int index, int threads_wanted) {
  NodeDescription node;
  node.os_index = real.os_index;
  node.package = real.package;
  node.simulated = parts > 1;
  node.memory_bytes = real.memory_bytes / parts;
  node.bandwidth_mb_s = real.bandwidth_mb_s;
  node.latency_ns = real.latency_ns;
  const std::vector<MachineCore> cores = CoresOfPart(real, parts, index);
  node.cores = static_cast<int>(cores.size());
  for (const MachineCore& core : cores) {
    node.hardware_threads += static_cast<int>(core.threads.size());
  }
  const int workers = threads_wanted > 0 ? threads_wanted : node.cores;
  const int limit =
      node.simulated ? kMaxSimulatedThreadsPerNode : node.hardware_threads;
  if (workers > limit) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%d threads per node were asked for, but %sNUMA node %d has %d usable "
        "cores with %d hardware threads; use at most %d",
        workers, node.simulated ? "the simulated part of " : "", real.os_index,
        node.cores, node.hardware_threads, limit));
  }
  AssignWorkers(cores, workers, node);
  return node;
}

/// hwloc's matrix of latencies between the machine's NUMA nodes, if it has one.
std::map<std::pair<int, int>, int> FindDistances(hwloc_topology* topology) {
  std::map<std::pair<int, int>, int> result;
  unsigned count = 1;
  hwloc_distances_s* matrix = nullptr;
  if (hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &count, &matrix,
                                  HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) != 0 ||
      count == 0) {
    return result;
  }
  const unsigned nodes = matrix->nbobjs;
  for (unsigned i = 0; i < nodes; ++i) {
    for (unsigned j = 0; j < nodes; ++j) {
      result[{static_cast<int>(matrix->objs[i]->os_index),
              static_cast<int>(matrix->objs[j]->os_index)}] =
          static_cast<int>(matrix->values[i * nodes + j]);
    }
  }
  hwloc_distances_release(topology, matrix);
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Topology>> Topology::Create(
    const TopologyOptions& options) {
  MLAD_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<Topology> result(new Topology);
  MLAD_ASSIGN_OR_RETURN(result->handle_, LoadTopology(options.source));
  result->is_this_machine_ = options.source.empty() &&
                             hwloc_topology_is_thissystem(result->handle_) != 0;
  MachineFilter filter;
  filter.this_machine = result->is_this_machine_;
  filter.memory_stated = StatesMemory(options.source);
  if (!options.cpus.empty()) {
    MLAD_ASSIGN_OR_RETURN(filter.cpus, ParseCpuList(options.cpus));
  }
  MLAD_ASSIGN_OR_RETURN(MachineNodes machine,
                        FindMachineNodes(result->handle_, filter));
  result->notes_ = std::move(machine.notes);
  result->real_node_count_ = machine.memory_nodes;
  result->one_node_machine_ = machine.one_node_machine;
  result->distances_ = FindDistances(result->handle_);
  if (machine.nodes.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        options.source.empty() ? "this machine"
                               : absl::StrCat("'", options.source, "'"),
        " has no NUMA node with both CPUs and memory that may be used; check "
        "the cgroup's cpuset.cpus and cpuset.mems"));
  }
  MLAD_RETURN_IF_ERROR(result->ChooseNodes(machine.nodes, options));
  result->DescribeDistances();
  return result;
}

absl::Status Topology::ChooseNodes(const std::vector<MachineNode>& found,
                                   const TopologyOptions& options) {
  const int found_count = static_cast<int>(found.size());
  const int count =
      options.nodes > 0 ? options.nodes : std::min(found_count, kMaxNodes);
  const int real_used = std::min(count, found_count);
  for (int r = 0; r < real_used; ++r) {
    const int parts = static_cast<int>(SplitEvenly(count, real_used, r).size());
    for (int part = 0; part < parts; ++part) {
      MLAD_ASSIGN_OR_RETURN(
          NodeDescription node,
          DescribePart(found[r], parts, part, options.threads_per_node));
      node.node = node_count();
      nodes_.push_back(std::move(node));
    }
  }
  if (real_used < found_count) {
    notes_.push_back(absl::StrFormat(
        "%d of the machine's %d NUMA nodes are used", real_used, found_count));
  }
  if (count > found_count) {
    notes_.push_back(absl::StrFormat(
        "%d nodes were asked for and the machine has %d that can be used: some "
        "are simulated, nothing is claimed about where their memory is",
        count, found_count));
  }
  return absl::OkStatus();
}

void Topology::DescribeDistances() {
  for (NodeDescription& from : nodes_) {
    for (const NodeDescription& to : nodes_) {
      const std::optional<int> distance = Distance(from.node, to.node);
      if (distance.has_value()) from.distances.push_back(*distance);
    }
    if (from.distances.size() < nodes_.size()) from.distances.clear();
  }
}

std::optional<int> Topology::Distance(int from, int to) const {
  const auto found =
      distances_.find({nodes_[from].os_index, nodes_[to].os_index});
  if (found == distances_.end()) return std::nullopt;
  return found->second;
}

Topology::Topology() : memory_ledger_(std::make_shared<MemoryLedger>()) {}

Topology::~Topology() {
  if (handle_ != nullptr) hwloc_topology_destroy(handle_);
}

}  // namespace mlad
