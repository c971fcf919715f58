#include "daemon/limit_checks.h"

#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "numa/format_bytes.h"

namespace mlad {
namespace {

/// The hard limit "Max locked memory"; nothing for unlimited or unknown.
std::optional<int64_t> HardLimit(const MachineFiles& files,
                                 const std::string& name) {
  for (const std::string& line : files.Lines("/proc/self/limits")) {
    absl::string_view rest = line;
    if (!absl::ConsumePrefix(&rest, name)) continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(rest, ' ', absl::SkipEmpty());
    int64_t limit = 0;
    if (words.size() > 1 && absl::SimpleAtoi(words[1], &limit)) return limit;
  }
  return std::nullopt;
}

Finding LockedMemory(const MachineFiles& files, int64_t needed_bytes) {
  const auto limit = HardLimit(files, "Max locked memory");
  const bool small = limit.has_value() && *limit < needed_bytes;
  return {"locked_memory", small ? Verdict::kAdvice : Verdict::kGood,
          limit.has_value()
              ? absl::StrCat(FormatBytes(*limit), " may be locked")
              : "any amount of memory may be locked",
          "locked weights cannot be swapped out or moved",
          small ? "in the unit: LimitMEMLOCK=infinity; in a shell: ulimit -l "
                  "unlimited"
                : ""};
}

Finding OpenFiles(const MachineFiles& files, int64_t max_connections) {
  // Beside connections: listening sockets, memory files, threads' events.
  constexpr int64_t kOthers = 256;
  const auto limit = HardLimit(files, "Max open files");
  const bool small = limit.has_value() && *limit < max_connections + kOthers;
  return {"open_files", small ? Verdict::kAdvice : Verdict::kGood,
          limit.has_value() ? absl::StrCat(*limit, " files may be open, for ",
                                           max_connections, " connections")
                            : "any number of files may be open",
          "each connection is an open file; without one left, clients wait",
          small ? absl::StrCat(
                      "in the unit: LimitNOFILE=", max_connections + kOthers,
                      "; or lower max_connections")
                : ""};
}

/// Of this process in the unified hierarchy: "/sys/fs/cgroup/system.slice/x/".
std::string CgroupFolder(const MachineFiles& files) {
  for (const std::string& line : files.Lines("/proc/self/cgroup")) {
    absl::string_view path = line;
    if (absl::ConsumePrefix(&path, "0::")) {
      return absl::StrCat("/sys/fs/cgroup", path, path == "/" ? "" : "/");
    }
  }
  return "/sys/fs/cgroup/";
}

/// The folder and those above it, up to the root of the hierarchy.
std::vector<std::string> WithParents(std::string folder) {
  std::vector<std::string> folders;
  while (absl::StartsWith(folder, "/sys/fs/cgroup/")) {
    folders.push_back(folder);
    folder.pop_back();
    folder.erase(folder.rfind('/') + 1);
  }
  return folders;
}

Finding CgroupMemory(const MachineFiles& files, int64_t needed_bytes) {
  std::optional<int64_t> limit;
  std::string where;
  for (const std::string& folder : WithParents(CgroupFolder(files))) {
    for (const char* name : {"memory.max", "memory.high"}) {
      const auto bytes = files.Number(folder + name);
      if (!bytes.has_value() || (limit.has_value() && *bytes >= *limit)) {
        continue;
      }
      limit = bytes;
      where = folder + name;
    }
  }
  const bool small = limit.has_value() && *limit < needed_bytes;
  return {"cgroup_memory", small ? Verdict::kFailed : Verdict::kGood,
          limit.has_value() ? absl::StrFormat("%s at most (%s), %s are needed",
                                              FormatBytes(*limit), where,
                                              FormatBytes(needed_bytes))
                            : "the cgroup does not limit memory",
          "over the limit the kernel kills the process, or slows it to a crawl",
          small ? "in the unit: MemoryMax=infinity MemoryHigh=infinity; or a "
                  "smaller cache_tokens"
                : ""};
}

Finding CgroupCpu(const MachineFiles& files) {
  std::string quota;
  for (const std::string& folder : WithParents(CgroupFolder(files))) {
    const std::string line = files.Line(folder + "cpu.max").value_or("max");
    if (!absl::StartsWith(line, "max")) quota = line;
  }
  return {"cgroup_cpu", quota.empty() ? Verdict::kGood : Verdict::kAdvice,
          quota.empty() ? "the cgroup does not limit CPU time"
                        : absl::StrCat("CPU time is limited to ", quota,
                                       " (us of each period)"),
          "workers wait for each other: one that is held up by the quota holds "
          "up all",
          quota.empty() ? ""
                        : "in the unit: CPUQuota= (none); limit CPUs with "
                          "AllowedCPUs= or cpus instead"};
}

}  // namespace

std::vector<Finding> CheckLimits(const MachineFiles& files,
                                 int64_t needed_bytes,
                                 int64_t max_connections) {
  return {LockedMemory(files, needed_bytes), OpenFiles(files, max_connections),
          CgroupMemory(files, needed_bytes), CgroupCpu(files)};
}

}  // namespace mlad
