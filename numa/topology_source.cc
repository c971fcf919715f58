#include "numa/topology_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include <hwloc.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

constexpr int64_t kMaxSyntheticThreads = 65536;

/// Hardware threads that a synthetic string describes, capped: hwloc would
/// build "pack:1000000 core:1000000" until memory runs out.
int64_t SyntheticThreads(std::string_view text) {
  int64_t product = 1;
  int depth = 0;  // parentheses hold attributes, not counts
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (text[i] != ':' || depth != 0) continue;
    int64_t count = 0;
    while (i + 1 < text.size() && text[i + 1] >= '0' && text[i + 1] <= '9') {
      count = std::min(count * 10 + (text[++i] - '0'), kMaxSyntheticThreads);
    }
    product = std::min(product * std::max<int64_t>(count, 1),
                       kMaxSyntheticThreads + 1);
  }
  return product;
}

absl::Status SetSource(hwloc_topology_t topology, const std::string& source) {
  if (absl::EndsWithIgnoreCase(source, ".xml")) {
    if (access(source.c_str(), R_OK) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot read the topology file '", source,
                       "': ", std::strerror(errno)));
    }
    if (hwloc_topology_set_xml(topology, source.c_str()) != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the topology file '", source,
          "' is not an hwloc XML file; write one with 'lstopo --of xml FILE'"));
    }
    return absl::OkStatus();
  }
  if (SyntheticThreads(source) > kMaxSyntheticThreads) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the topology '", source, "' has more than ", kMaxSyntheticThreads,
        " hardware threads; use smaller counts"));
  }
  if (hwloc_topology_set_synthetic(topology, source.c_str()) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the topology '", source,
                     "' is neither an hwloc synthetic description such as "
                     "'pack:2 [numa] core:96 pu:1' nor an .xml file"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<hwloc_topology*> LoadTopology(const std::string& source) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) {
    return absl::ResourceExhaustedError(
        "hwloc cannot allocate a topology; free some memory");
  }
  std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)> topology(
      raw, &hwloc_topology_destroy);
  if (!source.empty()) {
    absl::Status status = SetSource(raw, source);
    if (!status.ok()) return status;
  }
  if (hwloc_topology_load(raw) != 0) {
    return absl::InvalidArgumentError(
        source.empty()
            ? absl::StrCat("hwloc cannot read this machine's topology: ",
                           std::strerror(errno))
            : absl::StrCat("the topology '", source,
                           "' does not load; check it with 'lstopo -i'"));
  }
  return topology.release();
}

bool StatesMemory(const std::string& source) {
  return source.empty() || absl::EndsWithIgnoreCase(source, ".xml") ||
         absl::StrContains(source, "memory=");
}

}  // namespace mlad
