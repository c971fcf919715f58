// A clock cheap enough to be read twice per stage.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace mlad {

/// The monotonic clock's nanoseconds; 20 to 50 ns a call.
int64_t MonotonicNanoseconds();

/// Counts ticks of the time-stamp counter where it runs at a constant rate,
/// else nanoseconds of the monotonic clock.
class TickClock {
 public:
  TickClock();

  int64_t Now() const {
#if defined(__x86_64__)
    if (counter_) return static_cast<int64_t>(__rdtsc());
#endif
    return MonotonicNanoseconds();
  }

  /// Measures the length of a tick over the time since construction, some
  /// milliseconds at best. Once: what has been converted must not change.
  void Calibrate();

  int64_t ToNanoseconds(int64_t ticks) const {
    return static_cast<int64_t>(static_cast<double>(ticks) * ns_per_tick_);
  }

 private:
  struct Reading {
    int64_t ticks = 0;
    int64_t ns = 0;
  };
  Reading Read() const;

  const bool counter_;
  Reading start_;
  double ns_per_tick_ = 1;
};

}  // namespace mlad
