// The time between tokens, as clients see it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"

#include "engine/engine.h"

namespace mlad {

class TokenGapMeter {
 public:
  /// `bound` may be infinite.
  explicit TokenGapMeter(absl::Duration bound) : bound_(bound) {}

  void Add(absl::Duration gap);
  /// Of the last kWindow gaps; zero before the first.
  TokenGaps gaps() const;
  /// Gaps above the bound, since the start.
  int64_t late() const { return late_; }

 private:
  static constexpr size_t kWindow = 1024;

  absl::Duration bound_;
  std::vector<absl::Duration> window_;
  size_t next_ = 0;  // to be replaced
  int64_t late_ = 0;
};

}  // namespace mlad
