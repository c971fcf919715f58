// Loading hwloc topologies.
#pragma once

#include <string>

#include "absl/status/statusor.h"

struct hwloc_topology;

namespace mlad {

/// Loads the topology of this machine (empty source), of an .xml file, or of a
/// synthetic string. The caller destroys it.
/// Errors: kInvalidArgument, naming the file or string.
absl::StatusOr<hwloc_topology*> LoadTopology(const std::string& source);

/// False for synthetic strings without sizes: hwloc makes them up.
bool StatesMemory(const std::string& source);

}  // namespace mlad
