#include "engine/token_gaps.h"

#include <algorithm>

namespace mlad {

void TokenGapMeter::Add(absl::Duration gap) {
  if (gap > bound_) ++late_;
  if (window_.size() < kWindow) {
    window_.push_back(gap);
    return;
  }
  window_[next_] = gap;
  next_ = (next_ + 1) % kWindow;
}

TokenGaps TokenGapMeter::gaps() const {
  TokenGaps result;
  if (window_.empty()) return result;
  std::vector<absl::Duration> sorted = window_;
  std::sort(sorted.begin(), sorted.end());
  const auto quantile = [&](size_t percent) {
    return sorted[(sorted.size() - 1) * percent / 100];
  };
  result.p50 = quantile(50);
  result.p99 = quantile(99);
  result.max = sorted.back();
  return result;
}

}  // namespace mlad
