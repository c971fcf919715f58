#include "daemon/machine_checks.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "numa/format_bytes.h"

namespace mlad {
namespace {

// Smaller differences come from what the firmware keeps for itself.
constexpr double kUnevenShare = 0.1;
// Of a node's memory; less is found again without effort.
constexpr double kMuchPageCache = 0.25;

constexpr Verdict Advise(bool condition) {
  return condition ? Verdict::kAdvice : Verdict::kGood;
}

Finding NumaBalancing(const MachineFiles& files) {
  const auto value = files.Line("/proc/sys/kernel/numa_balancing");
  const bool on = value.has_value() && *value != "0";
  return {"numa_balancing", Advise(on),
          on ? absl::StrCat("automatic NUMA balancing is on (", *value, ")")
             : "automatic NUMA balancing is off",
          "it unmaps pages to see who reads them and moves them; mlad has "
          "placed them already, so that only the interruptions remain",
          on ? "sysctl -w kernel.numa_balancing=0" : ""};
}

Finding TransparentHugePages(const MachineFiles& files) {
  const std::string value =
      files.Line("/sys/kernel/mm/transparent_hugepage/enabled").value_or("");
  const bool off = value.empty() || absl::StrContains(value, "[never]");
  return {
      "transparent_huge_pages", Advise(off),
      value.empty() ? "this kernel has no transparent huge pages"
      : off         ? "transparent huge pages are off"
            : "transparent huge pages are there for those who ask: " + value,
      "with pages of 4 KiB, address translation costs memory bandwidth; "
      "mlad asks for pages of 2 MiB",
      off ? "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled" : ""};
}

/// Free pages per node of every pool that has any.
Finding HugePagePools(const MachineFiles& files) {
  std::vector<std::string> pools;
  for (const int node : files.MemoryNodes()) {
    const std::string folder = MachineFiles::NodeFolder(node) + "hugepages";
    for (const int64_t kib : {2048, 1 << 20}) {
      const std::string pool = absl::StrCat(folder, "/hugepages-", kib, "kB/");
      const int64_t all = files.Number(pool + "nr_hugepages").value_or(0);
      if (all == 0) continue;
      const int64_t free = files.Number(pool + "free_hugepages").value_or(0);
      pools.push_back(absl::StrFormat("node %d has %d of %s, %d free", node,
                                      all, FormatBytes(kib << 10), free));
    }
  }
  return {"huge_page_pools", Verdict::kGood,
          pools.empty() ? "no huge pages are reserved; transparent ones are "
                          "used"
                        : absl::StrJoin(pools, "; "),
          "mlad takes free reserved pages first; those of a node with too few "
          "for it lie idle",
          ""};
}

Finding Governor(const MachineFiles& files) {
  std::map<std::string, int> cpus;  // by governor
  int all = 0;
  const std::string folder = "/sys/devices/system/cpu";
  for (const int cpu : files.Numbered(folder, "cpu")) {
    const auto governor = files.Line(
        absl::StrCat(folder, "/cpu", cpu, "/cpufreq/scaling_governor"));
    if (!governor.has_value()) continue;
    ++cpus[*governor];
    ++all;
  }
  const bool slow = all > 0 && cpus["performance"] < all;
  std::vector<std::string> parts;
  for (const auto& [governor, count] : cpus) {
    if (count > 0) parts.push_back(absl::StrCat(governor, " on ", count));
  }
  return {"governor", Advise(slow),
          all == 0
              ? "the kernel does not choose clock rates here"
              : absl::StrCat(absl::StrJoin(parts, ", "), " of ", all, " CPUs"),
          "workers wait for memory often, and other governors then take the "
          "clock of core and fabric down",
          slow ? "cpupower frequency-set -g performance" : ""};
}

/// "NPS" on EPYC, "SNC" on Xeon.
Finding NodesPerSocket(const MachineFiles& files) {
  std::map<int64_t, std::set<int>> nodes_of_socket;
  for (const int node : files.Numbered("/sys/devices/system/node", "node")) {
    const std::string list =
        files.Line(MachineFiles::NodeFolder(node) + "cpulist").value_or("");
    for (const int cpu : ParseCpuList(list)) {
      const auto socket = files.Number(absl::StrCat(
          "/sys/devices/system/cpu/cpu", cpu, "/topology/physical_package_id"));
      if (socket.has_value()) nodes_of_socket[*socket].insert(node);
    }
  }
  std::set<int> all;
  size_t most = 0;
  for (const auto& [socket, nodes] : nodes_of_socket) {
    all.insert(nodes.begin(), nodes.end());
    most = std::max(most, nodes.size());
  }
  const bool interleaved = nodes_of_socket.size() > 1 && all.size() == 1;
  return {
      "nodes_per_socket", Advise(interleaved),
      absl::StrFormat("%d sockets, %d nodes with CPUs, %d a socket",
                      nodes_of_socket.size(), all.size(), most),
      "with one node over several sockets the firmware interleaves memory, "
      "and half of every read crosses sockets; one node a socket (NPS1, SNC "
      "off) is right for mlad, more are used as well",
      interleaved ? "in the firmware's setup: switch node interleaving off "
                    "(AMD: NUMA nodes per socket = NPS1)"
                  : ""};
}

Finding NodeMemory(const MachineFiles& files) {
  std::vector<std::string> parts;
  int64_t least = INT64_MAX;
  int64_t most = 0;
  for (const int node : files.MemoryNodes()) {
    const std::string meminfo = MachineFiles::NodeFolder(node) + "meminfo";
    const int64_t total = files.MeminfoBytes(meminfo, "MemTotal").value_or(0);
    const int64_t free = files.MeminfoBytes(meminfo, "MemFree").value_or(0);
    least = std::min(least, total);
    most = std::max(most, total);
    parts.push_back(absl::StrFormat("node %d has %s, %s free", node,
                                    FormatBytes(total), FormatBytes(free)));
  }
  const bool uneven = most > 0 && static_cast<double>(most - least) >
                                      kUnevenShare * static_cast<double>(most);
  return {"node_memory", Advise(uneven),
          parts.empty() ? "the kernel does not tell memory by node"
                        : absl::StrJoin(parts, "; "),
          "every node holds an equal part of the model; the smallest one "
          "bounds it, and a node with empty channels reads more slowly",
          uneven
              ? "put the same memory modules in every channel of every socket"
              : ""};
}

Finding PageCache(const MachineFiles& files) {
  std::vector<std::string> parts;
  bool much = false;
  for (const int node : files.MemoryNodes()) {
    const std::string meminfo = MachineFiles::NodeFolder(node) + "meminfo";
    const auto total = files.MeminfoBytes(meminfo, "MemTotal").value_or(0);
    const auto cache = files.MeminfoBytes(meminfo, "FilePages").value_or(0);
    parts.push_back(absl::StrCat(FormatBytes(cache), " on node ", node));
    much = much || static_cast<double>(cache) >
                       kMuchPageCache * static_cast<double>(total);
  }
  return {
      "page_cache", Advise(much),
      parts.empty() ? "the kernel does not tell its page cache by node"
                    : "files take " + absl::StrJoin(parts, ", "),
      "memory for weights is taken from free pages of one node; a node full "
      "of cached files makes the kernel search for room page by page",
      much ? "sync; echo 1 > /proc/sys/vm/drop_caches" : ""};
}

Finding ZoneReclaim(const MachineFiles& files) {
  const auto mode = files.Number("/proc/sys/vm/zone_reclaim_mode");
  const bool on = mode.value_or(0) != 0;
  return {
      "zone_reclaim", Advise(on),
      on ? absl::StrCat("the kernel reclaims within a node (mode ", *mode, ")")
         : "the kernel does not reclaim within a node",
      "it stalls whoever allocates on a full node although others have room",
      on ? "sysctl -w vm.zone_reclaim_mode=0" : ""};
}

Finding Swap(const MachineFiles& files) {
  const auto total =
      files.MeminfoBytes("/proc/meminfo", "SwapTotal").value_or(0);
  const auto swappiness = files.Number("/proc/sys/vm/swappiness").value_or(0);
  constexpr int64_t kReluctant = 10;
  const bool eager = total > 0 && swappiness > kReluctant;
  return {"swap", Advise(eager),
          total == 0 ? "there is no swap"
                     : absl::StrFormat("%s of swap, swappiness %d",
                                       FormatBytes(total), swappiness),
          "weights that are not read for an hour would be written to disk, and "
          "the next request would wait for them",
          eager ? "sysctl -w vm.swappiness=1" : ""};
}

}  // namespace

std::vector<Finding> CheckMachine(const MachineFiles& files) {
  return {
      NumaBalancing(files), TransparentHugePages(files), HugePagePools(files),
      Governor(files),      NodesPerSocket(files),       NodeMemory(files),
      PageCache(files),     ZoneReclaim(files),          Swap(files)};
}

}  // namespace mlad
