#include "numa/kernel_settings.h"

#include <fstream>

#include "absl/strings/match.h"

namespace mlad {
namespace {

/// The first line; empty when the kernel has no such setting.
std::string ReadSetting(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

std::vector<std::string> KernelWarnings(const std::string& root) {
  std::vector<std::string> warnings;
  const std::string balancing =
      ReadSetting(root + "/proc/sys/kernel/numa_balancing");
  if (!balancing.empty() && balancing != "0") {
    warnings.push_back(
        "automatic NUMA balancing is on: the kernel interrupts every read to "
        "see where it comes from; switch it off with 'sysctl -w "
        "kernel.numa_balancing=0'");
  }
  const std::string huge_pages =
      ReadSetting(root + "/sys/kernel/mm/transparent_hugepage/enabled");
  if (absl::StrContains(huge_pages, "[never]")) {
    warnings.push_back(
        "transparent huge pages are off: address translation will cost memory "
        "bandwidth; switch them on with 'echo madvise > "
        "/sys/kernel/mm/transparent_hugepage/enabled'");
  }
  return warnings;
}

}  // namespace mlad
