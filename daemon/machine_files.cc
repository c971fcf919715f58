#include "daemon/machine_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace mlad {

std::vector<std::string> MachineFiles::Lines(const std::string& path) const {
  std::ifstream file(root_ + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::optional<std::string> MachineFiles::Line(const std::string& path) const {
  std::ifstream file(root_ + path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<int64_t> MachineFiles::Number(const std::string& path) const {
  int64_t number = 0;
  if (!absl::SimpleAtoi(Line(path).value_or(""), &number)) return std::nullopt;
  return number;
}

std::vector<int> MachineFiles::Numbered(const std::string& folder,
                                        const std::string& prefix) const {
  std::vector<int> numbers;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(root_ + folder, error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    int number = 0;
    if (absl::StartsWith(name, prefix) &&
        absl::SimpleAtoi(name.substr(prefix.size()), &number)) {
      numbers.push_back(number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::optional<int64_t> MachineFiles::MeminfoBytes(
    const std::string& path, const std::string& key) const {
  for (const std::string& line : Lines(path)) {
    const std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    const auto found = std::find(words.begin(), words.end(), key + ":");
    int64_t kib = 0;
    if (found == words.end() || std::next(found) == words.end() ||
        !absl::SimpleAtoi(*std::next(found), &kib)) {
      continue;
    }
    return kib << 10;
  }
  return std::nullopt;
}

std::string MachineFiles::NodeFolder(int node) {
  return absl::StrCat("/sys/devices/system/node/node", node, "/");
}

std::vector<int> MachineFiles::MemoryNodes() const {
  std::vector<int> nodes = Numbered("/sys/devices/system/node", "node");
  std::erase_if(nodes, [&](int node) {
    return MeminfoBytes(NodeFolder(node) + "meminfo", "MemTotal").value_or(0) ==
           0;
  });
  return nodes;
}

std::vector<int> ParseCpuList(const std::string& list) {
  std::vector<int> cpus;
  for (const absl::string_view range :
       absl::StrSplit(list, ',', absl::SkipWhitespace())) {
    const std::vector<absl::string_view> ends = absl::StrSplit(range, '-');
    int first = 0;
    int last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last)) {
      continue;
    }
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

}  // namespace mlad
