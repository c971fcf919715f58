#include "numa/tick_clock.h"

#include <chrono>
#include <limits>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mlad {
namespace {

bool HasConstantCounter() {
#if defined(__x86_64__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kInvariantTsc = 1u << 8;
  return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) != 0 &&
         (edx & kInvariantTsc) != 0;
#else
  return false;
#endif
}

}  // namespace

int64_t MonotonicNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

TickClock::TickClock() : counter_(HasConstantCounter()), start_(Read()) {}

TickClock::Reading TickClock::Read() const {
  Reading best;
  int64_t best_gap = std::numeric_limits<int64_t>::max();
  // The thread may lose its CPU between the two clocks: take the closest pair.
  for (int i = 0; i < 5; ++i) {
    const int64_t before = Now();
    const int64_t ns = MonotonicNanoseconds();
    const int64_t after = Now();
    if (after - before < best_gap) {
      best_gap = after - before;
      best = {before + (after - before) / 2, ns};
    }
  }
  return best;
}

void TickClock::Calibrate() {
  if (!counter_) return;
  // 1 ms makes the reading's error, some 20 ns, a few parts in 100,000.
  constexpr int64_t kLeastNs = 1'000'000;
  Reading now = Read();
  while (now.ns - start_.ns < kLeastNs) now = Read();
  if (now.ticks > start_.ticks) {
    ns_per_tick_ = static_cast<double>(now.ns - start_.ns) /
                   static_cast<double>(now.ticks - start_.ticks);
  }
}

}  // namespace mlad
