#include "numa/free_memory.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace mlad {
namespace {

/// Cgroup files say "max" (v2) or a number near 2^63 (v1) for no limit.
constexpr int64_t kNoLimit = int64_t{1} << 60;

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::optional<int64_t> ReadNumber(const std::string& path) {
  const std::optional<std::string> text = ReadFile(path);
  int64_t value = 0;
  if (!text || !absl::SimpleAtoi(*text, &value)) return std::nullopt;
  return value;
}

/// The lines "[Node N ]Key: VALUE kB" of a meminfo file, in bytes.
std::map<std::string, int64_t> ReadMeminfo(const std::string& path) {
  std::map<std::string, int64_t> values;
  for (absl::string_view line :
       absl::StrSplit(ReadFile(path).value_or(""), '\n')) {
    std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() > 2 && words[0] == "Node") {
      words.erase(words.begin(), words.begin() + 2);
    }
    int64_t kib = 0;
    if (words.size() < 2 || !absl::SimpleAtoi(words[1], &kib)) continue;
    values[std::string(absl::StripSuffix(words[0], ":"))] = kib * 1024;
  }
  return values;
}

/// As the kernel's MemAvailable, which it does not give per node: free memory
/// and the page cache, less what it keeps for itself.
int64_t AvailableBytes(const std::map<std::string, int64_t>& meminfo) {
  const auto value = [&](const char* key) {
    const auto found = meminfo.find(key);
    return found == meminfo.end() ? 0 : found->second;
  };
  const int64_t kept = value("MemTotal") / 128;
  const int64_t cache = value("Active(file)") + value("Inactive(file)");
  const int64_t slab = value("SReclaimable");
  return std::max<int64_t>(value("MemFree") - kept + cache -
                               std::min(cache / 2, kept) + slab -
                               std::min(slab / 2, kept),
                           0);
}

/// Folders of the cgroup `path` and its parents below `mount`, innermost first.
std::vector<std::string> WithParents(const std::string& mount,
                                     std::string path) {
  std::vector<std::string> folders;
  while (path.size() > 1) {
    folders.push_back(mount + path);
    path.resize(path.rfind('/'));
  }
  folders.push_back(mount);
  return folders;
}

}  // namespace

FreeMemory::CgroupLimit FreeMemory::Cgroup() const {
  struct Files {
    std::vector<std::string> folders;
    const char* limit;
    const char* usage;
  };
  std::vector<Files> hierarchies;
  const std::string text = ReadFile(root_ + "/proc/self/cgroup").value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> fields =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3 || !absl::StartsWith(fields[2], "/")) continue;
    if (fields[1].empty()) {
      hierarchies.push_back({WithParents(root_ + "/sys/fs/cgroup", fields[2]),
                             "/memory.max", "/memory.current"});
    } else if (fields[1] == "memory") {
      hierarchies.push_back(
          {WithParents(root_ + "/sys/fs/cgroup/memory", fields[2]),
           "/memory.limit_in_bytes", "/memory.usage_in_bytes"});
    }
  }
  CgroupLimit result;
  for (const Files& files : hierarchies) {
    for (const std::string& folder : files.folders) {
      const std::optional<int64_t> limit = ReadNumber(folder + files.limit);
      if (!limit || *limit >= kNoLimit) continue;
      // The usage counts page cache, which goes when memory is needed.
      int64_t cache = 0;
      const std::string stat = ReadFile(folder + "/memory.stat").value_or("");
      for (absl::string_view line : absl::StrSplit(stat, '\n')) {
        int64_t bytes = 0;
        if ((absl::ConsumePrefix(&line, "inactive_file ") ||
             absl::ConsumePrefix(&line, "active_file ")) &&
            absl::SimpleAtoi(line, &bytes)) {
          cache += bytes;
        }
      }
      const int64_t used = std::max<int64_t>(
          ReadNumber(folder + files.usage).value_or(0) - cache, 0);
      const int64_t room = std::max<int64_t>(*limit - used, 0);
      result.limit_bytes =
          std::min(result.limit_bytes.value_or(*limit), *limit);
      result.room_bytes = std::min(result.room_bytes.value_or(room), room);
    }
  }
  return result;
}

int64_t FreeMemory::MachineTotalBytes() const {
  const int64_t total = ReadMeminfo(root_ + "/proc/meminfo")["MemTotal"];
  const std::optional<int64_t> limit = Cgroup().limit_bytes;
  return limit && total > 0 ? std::min(total, *limit) : total;
}

std::optional<int64_t> FreeMemory::MachineBytes() const {
  const auto meminfo = ReadMeminfo(root_ + "/proc/meminfo");
  if (!meminfo.contains("MemFree")) return std::nullopt;
  const auto stated = meminfo.find("MemAvailable");
  const int64_t available =
      stated != meminfo.end() ? stated->second : AvailableBytes(meminfo);
  return std::min(available, Cgroup().room_bytes.value_or(available));
}

std::optional<int64_t> FreeMemory::NodeBytes(int os_node) const {
  const auto meminfo = ReadMeminfo(absl::StrCat(
      root_, "/sys/devices/system/node/node", os_node, "/meminfo"));
  if (!meminfo.contains("MemFree")) return std::nullopt;
  const int64_t available = AvailableBytes(meminfo);
  return std::min(available, Cgroup().room_bytes.value_or(available));
}

int64_t FreeMemory::FreeHugePages(int os_node, int64_t page_bytes) const {
  return ReadNumber(absl::StrCat(root_, "/sys/devices/system/node/node",
                                 os_node, "/hugepages/hugepages-",
                                 page_bytes / 1024, "kB/free_hugepages"))
      .value_or(0);
}

}  // namespace mlad
