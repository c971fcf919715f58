// How long things took, counted in the buckets that monitoring reads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace mlad {

class LatencyHistogram {
 public:
  /// Upper bounds of the buckets in seconds; one more bucket has none.
  static constexpr std::array<double, 16> kBounds = {
      0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1,
      2,     5,    10,   20,   60,  120, 300, 600};
  using Counts = std::array<int64_t, kBounds.size() + 1>;

  void Add(absl::Duration time) {
    const double seconds = absl::ToDoubleSeconds(time);
    const auto* bound =
        std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
    ++counts_[static_cast<size_t>(bound - kBounds.begin())];
    sum_s_ += seconds;
  }

  /// Of each bucket alone.
  const Counts& counts() const { return counts_; }
  double sum_s() const { return sum_s_; }

 private:
  Counts counts_{};
  double sum_s_ = 0;
};

}  // namespace mlad
