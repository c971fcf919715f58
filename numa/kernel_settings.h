// Settings of the kernel that work against placed memory.
#pragma once

#include <string>
#include <vector>

namespace mlad {

/// A sentence for each setting that an operator should change, with the remedy:
/// automatic NUMA balancing, which moves pages and unmaps them to watch who
/// reads them; transparent huge pages switched off. Reads below `root`, see
/// FreeMemory.
std::vector<std::string> KernelWarnings(const std::string& root = "");

}  // namespace mlad
