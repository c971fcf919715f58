#include "engine/rate_meter.h"

namespace mlad {

void RateMeter::Add(int64_t tokens, absl::Duration work) {
  if (slices_.empty() || slices_.back().work >= window_ / 100) {
    slices_.emplace_back();
  }
  slices_.back().tokens += tokens;
  slices_.back().work += work;
  sum_.tokens += tokens;
  sum_.work += work;
  while (sum_.work - slices_.front().work >= window_) {
    sum_.tokens -= slices_.front().tokens;
    sum_.work -= slices_.front().work;
    slices_.pop_front();
  }
}

double RateMeter::Rate() const {
  if (sum_.work <= absl::ZeroDuration()) return 0;
  return static_cast<double>(sum_.tokens) / absl::ToDoubleSeconds(sum_.work);
}

}  // namespace mlad
