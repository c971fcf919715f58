#include "numa/memory_ledger.h"

#include <algorithm>

namespace mlad {

int64_t MemoryLedger::Reserve(int os_node, int64_t bytes, int64_t free_bytes) {
  const std::lock_guard lock(mutex_);
  Account& account = accounts_[os_node];
  if (account.promised_bytes == 0) account.free_bytes = free_bytes;
  // How much of the promised memory is touched is not known: free_bytes counts
  // the rest of it as free. Two bounds hold whatever it is.
  const int64_t unpromised =
      std::max(account.free_bytes, free_bytes) - account.promised_bytes;
  const int64_t available = std::min(unpromised, free_bytes);
  if (bytes > available) return bytes - std::max<int64_t>(available, 0);
  account.promised_bytes += bytes;
  return 0;
}

void MemoryLedger::Release(int os_node, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  accounts_[os_node].promised_bytes -= bytes;
}

int64_t MemoryLedger::promised_bytes(int os_node) const {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(os_node);
  return found == accounts_.end() ? 0 : found->second.promised_bytes;
}

}  // namespace mlad
