#include "bench/kernel_rates.h"

#include "base/check.h"

namespace mlad {

double MatMulRate::At(int64_t tokens) const {
  MLAD_CHECK(!points.empty());
  const auto t = static_cast<double>(tokens);
  for (size_t i = 1; i < points.size(); ++i) {
    const Point& low = points[i - 1];
    const Point& high = points[i];
    if (tokens > high.tokens) continue;
    const double share = (t - static_cast<double>(low.tokens)) /
                         static_cast<double>(high.tokens - low.tokens);
    return low.s_per_byte + share * (high.s_per_byte - low.s_per_byte);
  }
  const Point& last = points.back();
  return last.s_per_byte * t / static_cast<double>(last.tokens);
}

}  // namespace mlad
