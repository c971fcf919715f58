#include "numa/wait_counter.h"

#include <climits>

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numa/tick_clock.h"

namespace mlad {
namespace {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t),
              "the kernel waits on the plain integer");

void PauseCpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Spins between two looks at the clock.
constexpr int kSpinsPerClock = 64;

/// Enough for the others on a CPU to arrive at a barrier in turn. Yielding on
/// would hand the CPU to unrelated programs, each time for milliseconds.
constexpr int kYields = 8;

}  // namespace

bool WaitCounter::ChangesWhileSpinning(uint32_t old, int64_t spin_ns) const {
  int64_t deadline_ns = 0;
  while (true) {
    for (int i = 0; i < kSpinsPerClock; ++i) {
      if (value() != old) return true;
      PauseCpu();
    }
    const int64_t now_ns = MonotonicNanoseconds();
    if (deadline_ns == 0) deadline_ns = now_ns + spin_ns;
    if (now_ns >= deadline_ns) return false;
  }
}

bool WaitCounter::ChangesWhileYielding(uint32_t old) const {
  for (int i = 0; i < kYields; ++i) {
    if (value() != old) return true;
    sched_yield();
  }
  return value() != old;
}

void WaitCounter::Wait(uint32_t old, const WaitPolicy& policy) {
  if (policy.cpu_is_shared ? ChangesWhileYielding(old)
                           : ChangesWhileSpinning(old, policy.spin_ns)) {
    return;
  }
  // Either this thread sees the new value or Publish() sees the sleeper: both
  // sides write before they read, in one total order.
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  while (value_.load(std::memory_order_seq_cst) == old) {
    syscall(SYS_futex, &value_, FUTEX_WAIT_PRIVATE, old, nullptr, nullptr, 0);
  }
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void WaitCounter::Publish(uint32_t value) {
  value_.store(value, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  syscall(SYS_futex, &value_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace mlad
