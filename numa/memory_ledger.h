// What has been promised of each node's memory.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>

namespace mlad {

/// The kernel counts memory as used when it is touched, regions are made before
/// that: without this, two regions would be promised the same free bytes.
/// Thread-safe.
class MemoryLedger {
 public:
  /// Promises `bytes` of the kernel's node, which says that it has `free_bytes`
  /// now. Returns how many bytes are missing: 0 when the promise is made.
  int64_t Reserve(int os_node, int64_t bytes, int64_t free_bytes);
  void Release(int os_node, int64_t bytes);

  int64_t promised_bytes(int os_node) const;

 private:
  struct Account {
    int64_t promised_bytes = 0;
    int64_t free_bytes = 0;  // when nothing was promised
  };
  mutable std::mutex mutex_;
  std::map<int, Account> accounts_;  // by the kernel's node number
};

}  // namespace mlad
