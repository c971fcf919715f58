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

template <PackedFormat kFormat>
struct QuantMatMul {
  using V = Avx2;
  using F = QuantFormat<kFormat>;
  static constexpr int kPanels = 2;
  static constexpr int kTokens = 3;

  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void Dots(
      const MatMulArgs& args, const PanelRegions& regions,
      MatMulTile<V, kPanelCount, kTokenCount>* tile) {
    TokenRow x[kTokenCount];
    Sums<kPanelCount, kTokenCount> sums;
#pragma GCC unroll 3
    for (int t = 0; t < kTokenCount; ++t) {
      x[t] = TokenRow::Of(args, tile->x_rows[t]);
#pragma GCC unroll 2
      for (int p = 0; p < kPanelCount; ++p) {
        sums[p][t][0] = sums[p][t][1] = V::Zero();
      }
    }
    const int64_t blocks = args.w.cols / kQuantBlock;
    for (int64_t block = 0; block < blocks; ++block) {
      BlockPairs pairs[kTokenCount];
#pragma GCC unroll 3
      for (int t = 0; t < kTokenCount; ++t) {
        pairs[t].Load(x[t].blocks[block]);
        // To be broadcast from memory, which takes no arithmetic.
        asm("" : "+m"(pairs[t]));
      }
      const std::byte* codes[kPanelCount];
      BlockScales<V, kFormat> scales[kPanelCount][kHalves];
#pragma GCC unroll 2
      for (int p = 0; p < kPanelCount; ++p) {
        codes[p] = tile->panels[p] + block * F::kBlockBytes;
        PrefetchCodes<kFormat>(tile->panels[p], block);
#pragma GCC unroll 2
        for (int half = 0; half < kHalves; ++half) {
          scales[p][half].Load(tile->panels[p], regions, block,
                               half * V::kLanes);
        }
      }
#pragma GCC unroll 2
      for (int part = 0; part < F::kScalesPerBlock; ++part) {
        Products<kPanelCount, kTokenCount> products;
        Multiply(codes, pairs, part, &products);
#pragma GCC unroll 2
        for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 2
          for (int half = 0; half < kHalves; ++half) {
#pragma GCC unroll 3
            for (int t = 0; t < kTokenCount; ++t) {
              const int32_t x_sum = F::SumOfPart(x[t].sums[block], part);
              const __m256i dots = _mm256_sub_epi32(
                  products[p][t][half], _mm256_set1_epi32(F::kOffset * x_sum));
              sums[p][t][half] = scales[p][half].Accumulate(
                  sums[p][t][half], part, _mm256_cvtepi32_ps(dots),
                  V::Set(x[t].scales[block]),
                  V::Set(static_cast<float>(x_sum)));
            }
          }
        }
      }
    }
#pragma GCC unroll 3
    for (int t = 0; t < kTokenCount; ++t) {
#pragma GCC unroll 2
      for (int p = 0; p < kPanelCount; ++p) {
        tile->dots[p][t][0] = sums[p][t][0];
        tile->dots[p][t][1] = sums[p][t][1];
      }
    }
  }

 private:
  template <int kPanelCount, int kTokenCount>
  using Sums = __m256[kPanelCount][kTokenCount][kHalves];
  template <int kPanelCount, int kTokenCount>
  using Products = __m256i[kPanelCount][kTokenCount][kHalves];

  /// The products of a block's codes that share scale `part`.
  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void Multiply(
      const std::byte* const (&codes)[kPanelCount],
      const BlockPairs (&pairs)[kTokenCount], int part,
      Products<kPanelCount, kTokenCount>* products) {
#pragma GCC unroll 2
    for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 3
      for (int t = 0; t < kTokenCount; ++t) {
        (*products)[p][t][0] = (*products)[p][t][1] = _mm256_setzero_si256();
      }
    }
    constexpr int kLines = F::kLowBits;  // of 64 bytes
    constexpr int kPartLines = kLines / F::kScalesPerBlock;
#pragma GCC unroll 8
    for (int i = 0; i < kPartLines; ++i) {
      const int line = part * kPartLines + i;
#pragma GCC unroll 2
      for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 2
        for (int half = 0; half < kHalves; ++half) {
          const std::byte* at = codes[p] + line * 64;
          if constexpr (F::kLowBits == 8) {
            AddGroup(LoadBytes(at, half), pairs, line, half, &(*products)[p]);
          } else {
            static_assert(F::kScalesPerBlock == 1);
            AddGroup(LoadNibbles<kFormat>(at, false, half), pairs, line, half,
                     &(*products)[p]);
            AddGroup(LoadNibbles<kFormat>(at, true, half), pairs, kLines + line,
                     half, &(*products)[p]);
          }
        }
      }
    }
  }

  /// Adds the products of group g of 8 rows.
  template <int kTokenCount>
  [[gnu::always_inline]] static inline void AddGroup(
      __m256i codes, const BlockPairs (&pairs)[kTokenCount], int g, int half,
      __m256i (*products)[kTokenCount][kHalves]) {
    const __m256i even = _mm256_and_si256(codes, _mm256_set1_epi16(255));
    const __m256i odd = _mm256_srli_epi16(codes, 8);
#pragma GCC unroll 3
    for (int t = 0; t < kTokenCount; ++t) {
      __m256i& sum = (*products)[t][half];
      sum = AddPairs(sum, even, _mm256_set1_epi32(pairs[t].even[g]));
      sum = AddPairs(sum, odd, _mm256_set1_epi32(pairs[t].odd[g]));
    }
  }
};

}  // namespace
}  // namespace mlad::avx2
