// Reads the kernel's files about the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlad {

/// Below `root`: "" in production, a folder with copies of /proc and /sys in
/// tests. What cannot be read is as if it were not there.
class MachineFiles {
 public:
  explicit MachineFiles(std::string root = "") : root_(std::move(root)) {}

  /// Without the line ends; empty when there is none.
  std::vector<std::string> Lines(const std::string& path) const;
  /// The first line; nothing when there is no file.
  std::optional<std::string> Line(const std::string& path) const;
  /// The first line as a whole number.
  std::optional<int64_t> Number(const std::string& path) const;
  /// The number N of each entry prefixN of a folder, ascending.
  std::vector<int> Numbered(const std::string& folder,
                            const std::string& prefix) const;

  /// Of "KEY: N kB" or "Node 0 KEY: N kB", in bytes.
  std::optional<int64_t> MeminfoBytes(const std::string& path,
                                      const std::string& key) const;
  /// "/sys/devices/system/node/node0/"
  static std::string NodeFolder(int node);
  /// Nodes of the kernel that have memory.
  std::vector<int> MemoryNodes() const;

 private:
  std::string root_;
};

/// The CPUs of "0-3,8".
std::vector<int> ParseCpuList(const std::string& list);

}  // namespace mlad
