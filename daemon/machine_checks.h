// The machine's settings that decide how fast placed memory is.
#pragma once

#include <vector>

#include "daemon/finding.h"
#include "daemon/machine_files.h"

namespace mlad {

/// numa_balancing, transparent_huge_pages, huge_page_pools, governor,
/// nodes_per_socket, node_memory, page_cache, zone_reclaim, swap.
std::vector<Finding> CheckMachine(const MachineFiles& files);

}  // namespace mlad
