// What the process may have: resource limits and its cgroup.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/finding.h"
#include "daemon/machine_files.h"

namespace mlad {

/// locked_memory, open_files, cgroup_memory, cgroup_cpu. `needed_bytes`: for
/// weights, cache and compute; 0 when unknown. `max_connections`: as
/// configured.
std::vector<Finding> CheckLimits(const MachineFiles& files,
                                 int64_t needed_bytes, int64_t max_connections);

}  // namespace mlad
