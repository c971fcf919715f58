#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/scalar_kernels.h"
#include "kernels/scalar_peak.h"

namespace mlad::scalar {
namespace {

void QuantizeBlock(const float* x, ActivationBlock* block, float* scale,
                   ActivationSums* sums) {
  const float peak = PeakMagnitude(x, kQuantBlock);
  if (!std::isfinite(peak) || peak < kSmallestActivation) {
    std::memset(block, 0, sizeof(*block));
    *scale = std::isfinite(peak) ? 0 : std::numeric_limits<float>::quiet_NaN();
    *sums = {};
    return;
  }
  constexpr auto kPeak = static_cast<float>(kActivationPeak);
  const float inverse = kPeak / peak;
  for (int half = 0; half < 2; ++half) {
    int32_t sum = 0;
    for (int i = 16 * half; i < 16 * half + 16; ++i) {
      const auto q = static_cast<int32_t>(std::lrintf(x[i] * inverse));
      const auto low = static_cast<int8_t>(q & 255);
      block->low[i] = low;
      block->high[i] = static_cast<int8_t>((q - low) / 256);
      sum += q;
    }
    sums->half[half] = sum;
  }
  *scale = peak / kPeak;
}

}  // namespace

void QuantizeActivations(const float* x, int64_t cols,
                         const QuantizedActivations& out) noexcept {
  for (int64_t b = 0; b < cols / kQuantBlock; ++b) {
    QuantizeBlock(x + b * kQuantBlock, &out.blocks[b], &out.scales[b],
                  &out.sums[b]);
  }
}

}  // namespace mlad::scalar
