// Whole multiples.
#pragma once

#include <cstdint>

namespace mlad {

/// The smallest multiple of `unit` that is not below `n`; n >= 0, unit > 0.
constexpr int64_t RoundUp(int64_t n, int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

}  // namespace mlad
