// How much memory the kernel and the cgroup leave to this process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mlad {

/// Reads the kernel's files below `root`: "" in production, a folder with
/// copies of them in tests.
class FreeMemory {
 public:
  explicit FreeMemory(std::string root = "") : root_(std::move(root)) {}

  /// RAM of the machine, or the limit of this process's cgroup if that is
  /// lower; 0 when unknown.
  int64_t MachineTotalBytes() const;
  /// Bytes that can be taken from anywhere in the machine: free or page cache
  /// that can be dropped, and within the cgroup's limit; empty when unknown.
  std::optional<int64_t> MachineBytes() const;
  /// The same for one node of the kernel.
  std::optional<int64_t> NodeBytes(int os_node) const;
  /// Free huge pages of `page_bytes` in the node's pool; 0 when there is none.
  int64_t FreeHugePages(int os_node, int64_t page_bytes) const;

 private:
  struct CgroupLimit {
    std::optional<int64_t> limit_bytes;
    std::optional<int64_t> room_bytes;  // limit less what is in use
  };
  CgroupLimit Cgroup() const;

  std::string root_;
};

}  // namespace mlad
