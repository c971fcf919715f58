// A counter that threads wait on: they spin, then sleep.
#pragma once

#include <atomic>
#include <cstdint>

namespace mlad {

/// How a waiting thread spends its time before it sleeps in the kernel.
struct WaitPolicy {
  int64_t spin_ns = 200'000;
  /// Other waiting or working threads share the CPU: instead of spinning, give
  /// it away a few times.
  bool cpu_is_shared = false;
};

/// One thread at a time publishes; any number wait. What was written before
/// Publish() is visible after the Wait() that it ends.
class alignas(128) WaitCounter {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }

  /// Returns once the value differs from `old`.
  void Wait(uint32_t old, const WaitPolicy& policy);

  void Publish(uint32_t value);

 private:
  bool ChangesWhileSpinning(uint32_t old, int64_t spin_ns) const;
  bool ChangesWhileYielding(uint32_t old) const;

  std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};
};

}  // namespace mlad
