#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/scalar_kernels.h"
#include "kernels/scalar_peak.h"

namespace mlad::scalar {
namespace {

/// One block with the scale of values whose largest is `peak`.
void QuantizeBlock(const float* x, ActivationBits bits, float peak,
                   ActivationBlock* block, float* scale, ActivationSums* sums) {
  if (!std::isfinite(peak) || peak < kSmallestActivation) {
    std::memset(block, 0, sizeof(*block));
    *scale = std::isfinite(peak) ? 0 : std::numeric_limits<float>::quiet_NaN();
    *sums = {};
    return;
  }
  const bool wide = bits == ActivationBits::k16;
  const float largest = wide ? static_cast<float>(kActivationPeak) : 127.0f;
  const float inverse = largest / peak;
  for (int half = 0; half < 2; ++half) {
    int32_t sum = 0;
    for (int i = 16 * half; i < 16 * half + 16; ++i) {
      const auto code = static_cast<int32_t>(std::lrintf(x[i] * inverse));
      const int32_t q = wide ? code : 256 * code;
      const auto low = static_cast<int8_t>(q & 255);
      block->low[i] = low;
      block->high[i] = static_cast<int8_t>((q - low) / 256);
      sum += q;
    }
    sums->half[half] = sum;
  }
  *scale = wide ? peak / largest : peak / largest / 256;
}

}  // namespace

void QuantizeActivations(const float* x, int64_t cols, ActivationBits bits,
                         const QuantizedActivations& out) noexcept {
  *out.bits = bits;
  const int64_t blocks = cols / kQuantBlock;
  const int64_t together = bits == ActivationBits::k8 ? kNarrowBlocks : 1;
  for (int64_t first = 0; first < blocks; first += together) {
    const int64_t end = std::min(first + together, blocks);
    const float peak =
        PeakMagnitude(x + first * kQuantBlock, (end - first) * kQuantBlock);
    for (int64_t b = first; b < end; ++b) {
      QuantizeBlock(x + b * kQuantBlock, bits, peak, &out.blocks[b],
                    &out.scales[b], &out.sums[b]);
    }
  }
}

}  // namespace mlad::scalar
