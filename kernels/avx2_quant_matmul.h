// Matmul of the block formats with AVX2 for few tokens, as codes are packed:
// lanes are rows.
// Only for files compiled for AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include "kernels/avx2_codes.h"
#include "kernels/avx2_pairs.h"
#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"
#include "kernels/vector_avx2.h"

namespace mlad::avx2 {
namespace {

constexpr int kHalfBlockGroups = kBlockGroups / 2;

template <PackedFormat kFormat>
struct QuantMatMul {
  using V = Avx2;
  using F = QuantFormat<kFormat>;
  static constexpr int kPanels = 1;
  static constexpr int kTokens = 3;

  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void Dots(
      const MatMulArgs& args, const PanelRegions& regions,
      MatMulTile<V, kPanelCount, kTokenCount>* tile) {
    static_assert(kPanelCount == 1);
    const std::byte* panel = tile->panels[0];
    TokenRow x[kTokenCount];
    __m256 sums[kTokenCount][kHalves];
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      x[t] = TokenRow::Of(args, tile->x_rows[t]);
      sums[t][0] = sums[t][1] = V::Zero();
    }
    const int64_t blocks = args.w.cols / kQuantBlock;
    for (int64_t block = 0; block < blocks; ++block) {
      if constexpr (kTokenCount == 1) PrefetchCodes<kFormat>(panel, block);
      BlockPairs pairs[kTokenCount];
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) pairs[t].Load(x[t].blocks[block]);
      BlockScales<V, kFormat> scales[kHalves];
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        scales[half].Load(panel, regions, block, half * V::kLanes);
      }
      const std::byte* codes = panel + block * F::kBlockBytes;
#pragma GCC unroll 2
      for (int part = 0; part < F::kScalesPerBlock; ++part) {
        AddPart<kTokenCount>(codes, x, pairs, block, part, scales, sums);
      }
    }
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      tile->dots[0][t][0] = sums[t][0];
      tile->dots[0][t][1] = sums[t][1];
    }
  }

 private:
  /// The codes of `group` of the half block `upper`.
  [[gnu::always_inline]] static inline __m256i LoadGroup(const std::byte* block,
                                                         bool upper, int group,
                                                         int half) {
    if constexpr (F::kLowBits == 8) {
      return LoadBytes(block + (upper ? kHalfBlockGroups + group : group) * 64,
                       half);
    } else {
      return LoadNibbles<kFormat>(block + group * 64, upper, half);
    }
  }

  /// Adds the columns of a panel's block that share scale `part`.
  template <int kTokenCount>
  [[gnu::always_inline]] static inline void AddPart(
      const std::byte* codes, const TokenRow (&x)[kTokenCount],
      const BlockPairs (&pairs)[kTokenCount], int64_t block, int part,
      const BlockScales<V, kFormat> (&scales)[kHalves],
      __m256 (&sums)[kTokenCount][kHalves]) {
    __m256i dots[kTokenCount][kHalves];
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      dots[t][0] = dots[t][1] =
          _mm256_set1_epi32(-F::kOffset * F::SumOfPart(x[t].sums[block], part));
    }
    if constexpr (F::kScalesPerBlock == 2) {
      AddHalfBlock<kTokenCount>(codes, part == 1, pairs, dots);
    } else {
      AddHalfBlock<kTokenCount>(codes, false, pairs, dots);
      AddHalfBlock<kTokenCount>(codes, true, pairs, dots);
    }
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      const __m256 x_scale = V::Set(x[t].scales[block]);
      const __m256 x_sum =
          V::Set(static_cast<float>(F::SumOfPart(x[t].sums[block], part)));
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        sums[t][half] = scales[half].Accumulate(
            sums[t][half], part, _mm256_cvtepi32_ps(dots[t][half]), x_scale,
            x_sum);
      }
    }
  }

  /// Adds the integer products of 16 columns.
  template <int kTokenCount>
  [[gnu::always_inline]] static inline void AddHalfBlock(
      const std::byte* codes, bool upper,
      const BlockPairs (&pairs)[kTokenCount],
      __m256i (&dots)[kTokenCount][kHalves]) {
    // Unrolled, GCC would add all products at the end and keep them in memory.
#pragma GCC unroll 1
    for (int group = 0; group < kHalfBlockGroups; ++group) {
      __m256i even[kHalves];
      __m256i odd[kHalves];
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        const __m256i bytes = LoadGroup(codes, upper, group, half);
        even[half] = _mm256_and_si256(bytes, _mm256_set1_epi16(255));
        odd[half] = _mm256_srli_epi16(bytes, 8);
      }
      const int g = upper ? kHalfBlockGroups + group : group;
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) {
        const __m256i x_even = _mm256_set1_epi32(pairs[t].even[g]);
        const __m256i x_odd = _mm256_set1_epi32(pairs[t].odd[g]);
#pragma GCC unroll 2
        for (int half = 0; half < kHalves; ++half) {
          const __m256i products =
              _mm256_add_epi32(_mm256_madd_epi16(even[half], x_even),
                               _mm256_madd_epi16(odd[half], x_odd));
          dots[t][half] = _mm256_add_epi32(dots[t][half], products);
        }
      }
    }
  }
};

}  // namespace
}  // namespace mlad::avx2
