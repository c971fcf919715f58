// The largest magnitude of some floats, as the scalar quantisers need it.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace mlad::scalar {

/// max |x[i]| over n numbers; not finite when one of them is not.
inline float PeakMagnitude(const float* x, int64_t n) {
  // Of non-negative floats the bits order like the values, NaN last.
  uint32_t peak = 0;
  for (int64_t i = 0; i < n; ++i) {
    peak = std::max(peak, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFu);
  }
  return std::bit_cast<float>(peak);
}

}  // namespace mlad::scalar
