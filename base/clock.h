// Time as a dependency, so that schedulers and deadlines run on a fake clock
// in tests.
#pragma once

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace mlad {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

class RealClock final : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
};

/// A clock that moves only when told to. Not thread-safe.
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override { return now_; }
  void Advance(absl::Duration duration) { now_ += duration; }

 private:
  absl::Time now_ = absl::UnixEpoch();
};

}  // namespace mlad
