// Quantisation of activations over a vector type. Whole numbers are kept as
// floats: all of them are below 2^24, so every operation on them is exact.
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"
#include "kernels/simd_elementwise.h"

namespace mlad {
namespace {

/// max |x[i]| over n numbers; not finite when one of them is not.
template <class V>
float PeakMagnitude(const float* x, int64_t n) {
  auto peak = V::Zero();
  ForEachVector<V>(n, [&](auto access, int64_t i) {
    peak = V::LargerMagnitude(peak, access.Load(x + i));
  });
  return V::LargestMagnitude(peak);
}

inline constexpr float kLargestFinite = __FLT_MAX__;

/// Stores kQuantBlock / 2 numbers' q from x * inverse and returns their sum.
template <class V>
int32_t QuantizeHalf(const float* x, float inverse, int8_t* high, int8_t* low) {
  auto sum = V::Zero();
  for (int i = 0; i < kQuantBlock / 2; i += V::kLanes) {
    const auto q = V::Round(V::Mul(V::Load(x + i), V::Set(inverse)));
    const auto upper = V::Floor(V::Fma(q, V::Set(1.0f / 256), V::Set(0.5f)));
    V::StoreI8(high + i, upper);
    V::StoreI8(low + i, V::NegativeFma(upper, V::Set(256.0f), q));
    sum = V::Add(sum, q);
  }
  return static_cast<int32_t>(V::Sum(sum));
}

/// The same with codes of 8 bits: all of q is in `high`.
template <class V>
int32_t QuantizeHalf8(const float* x, float inverse, int8_t* high,
                      int8_t* low) {
  auto sum = V::Zero();
  for (int i = 0; i < kQuantBlock / 2; i += V::kLanes) {
    const auto code = V::Round(V::Mul(V::Load(x + i), V::Set(inverse)));
    V::StoreI8(high + i, code);
    V::StoreI8(low + i, V::Zero());
    sum = V::Add(sum, code);
  }
  return 256 * static_cast<int32_t>(V::Sum(sum));
}

/// One block with the scale of values whose largest is `peak`.
template <class V>
void QuantizeBlock(const float* x, ActivationBits bits, float peak,
                   int64_t block, const QuantizedActivations& out) {
  ActivationBlock* codes = out.blocks + block;
  ActivationSums* sums = out.sums + block;
  if (!(peak >= kSmallestActivation && peak <= kLargestFinite)) {
    out.scales[block] = peak < kSmallestActivation ? 0.0f : __builtin_nanf("");
    *sums = {};
    *codes = {};
    return;
  }
  const bool wide = bits == ActivationBits::k16;
  const float largest = wide ? static_cast<float>(kActivationPeak) : 127.0f;
  const float inverse = largest / peak;
  out.scales[block] = wide ? peak / largest : peak / largest / 256;
  for (int half = 0; half < 2; ++half) {
    const int first = half * kQuantBlock / 2;
    const auto quantize = wide ? QuantizeHalf<V> : QuantizeHalf8<V>;
    sums->half[half] =
        quantize(x + first, inverse, codes->high + first, codes->low + first);
  }
}

template <class V>
void QuantizeActivations(const float* x, int64_t cols, ActivationBits bits,
                         const QuantizedActivations& out) noexcept {
  *out.bits = bits;
  const int64_t blocks = cols / kQuantBlock;
  const int64_t together = bits == ActivationBits::k8 ? kNarrowBlocks : 1;
  for (int64_t first = 0; first < blocks; first += together) {
    const int64_t end = blocks - first < together ? blocks : first + together;
    const float peak =
        PeakMagnitude<V>(x + first * kQuantBlock, (end - first) * kQuantBlock);
    for (int64_t block = first; block < end; ++block) {
      QuantizeBlock<V>(x + block * kQuantBlock, bits, peak, block, out);
    }
  }
}

}  // namespace
}  // namespace mlad
