// Matmul of the block formats with AVX-512 VNNI: lanes are rows, and one
// vpdpbusd multiplies 4 columns of 16 rows by 4 activations in every lane.
// Only for files compiled for AVX-512 F, BW, DQ, VL and VNNI.
#pragma once

#include <immintrin.h>

#include "kernels/avx512_codes.h"
#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"
#include "kernels/vector_avx512.h"

namespace mlad::avx512 {

/// The formats that avx512_quant_matmul.cc leaves to another file.
void MatMulUnpacked(const MatMulArgs& args) noexcept;
/// Activations of 8 bits, which all tokens have: half the products.
void MatMulNarrow(const MatMulArgs& args) noexcept;

namespace {

/// Four activations of one plane in every lane.
[[gnu::always_inline]] inline __m512i Broadcast4(const int8_t* plane, int g) {
  int32_t four;
  __builtin_memcpy(&four, plane + g * kGroupColumns, sizeof(four));
  return _mm512_set1_epi32(four);
}

/// kUnpacked: multiplies codes that Unpack has made. kNarrow: activations have
/// 8 bits, so that nothing is in their low plane, and the blocks of a span
/// share a scale.
template <PackedFormat kFormat, bool kUnpacked = false, bool kNarrow = false>
struct QuantMatMul {
  using V = Avx512;
  using F = QuantFormat<kFormat>;
  static constexpr int kPanels = 2;
  static constexpr int kTokens = kNarrow ? 6 : 4;
  static constexpr int64_t kBlockBytes =
      kUnpacked ? kPanelRows * kQuantBlock : F::kBlockBytes;

  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void Dots(
      const MatMulArgs& args, const PanelRegions& regions,
      MatMulTile<V, kPanelCount, kTokenCount>* tile) {
    BlockSpan<kPanelCount> span;
    span.begin = 0;
    span.end = args.w.cols / kQuantBlock;
#pragma GCC unroll 4
    for (int p = 0; p < kPanelCount; ++p) {
      span.codes[p] = tile->panels[p];
#pragma GCC unroll 8
      for (int t = 0; t < kTokenCount; ++t) tile->dots[p][t][0] = V::Zero();
    }
    AddBlocks(args, regions, span, tile);
  }

  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void AddBlocks(
      const MatMulArgs& args, const PanelRegions& regions,
      const BlockSpan<kPanelCount>& span,
      MatMulTile<V, kPanelCount, kTokenCount>* tile) {
    TokenRow x[kTokenCount];
#pragma GCC unroll 8
    for (int t = 0; t < kTokenCount; ++t) {
      x[t] = TokenRow::Of(args, tile->x_rows[t]);
    }
    __m512 sums[kPanelCount][kTokenCount];
#pragma GCC unroll 4
    for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 8
      for (int t = 0; t < kTokenCount; ++t) {
        sums[p][t] = kNarrow ? V::Zero() : tile->dots[p][t][0];
      }
    }
    for (int64_t block = span.begin; block < span.end; ++block) {
      BlockScales<V, kFormat> scales[kPanelCount];
      const std::byte* codes[kPanelCount];
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        codes[p] = span.codes[p] + (block - span.begin) * kBlockBytes;
        scales[p].Load(tile->panels[p], regions, block, 0);
        if constexpr (kTokenCount == 1 && !kUnpacked) {
          PrefetchCodes<kFormat>(tile->panels[p], block);
        }
      }
#pragma GCC unroll 2
      for (int part = 0; part < F::kScalesPerBlock; ++part) {
        AddPart<kPanelCount, kTokenCount>(codes, x, block, part, scales, sums);
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTokenCount; ++t) {
      // Activations of 8 bits are whole multiples of 256; their products went
      // without that factor.
      const __m512 x_scale = V::Set(256 * x[t].scales[span.begin]);
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        __m512& dots = tile->dots[p][t][0];
        dots = kNarrow ? V::Fma(x_scale, sums[p][t], dots) : sums[p][t];
      }
    }
  }

  static void Unpack(const PanelRegions& regions, const UnpackJob& job) {
    UnpackCodes<kFormat>(regions, job);
  }

 private:
  [[gnu::always_inline]] static inline __m512i LoadGroup(const std::byte* block,
                                                         int g) {
    if constexpr (kUnpacked) return _mm512_load_si512(block + g * 64);
    return LoadCodes<kFormat>(block, g);
  }

  /// Adds the columns of `block` that share scale `part`.
  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void AddPart(
      const std::byte* const (&block_codes)[kPanelCount],
      const TokenRow (&x)[kTokenCount], int64_t block, int part,
      const BlockScales<V, kFormat> (&scales)[kPanelCount],
      __m512 (&sums)[kPanelCount][kTokenCount]) {
    constexpr int kGroups = kBlockGroups / F::kScalesPerBlock;
    __m512i high[kPanelCount][kTokenCount];
    __m512i low[kPanelCount][kTokenCount];
    int32_t x_sums[kTokenCount];
#pragma GCC unroll 8
    for (int t = 0; t < kTokenCount; ++t) {
      x_sums[t] = F::SumOfPart(x[t].sums[block], part);
      if constexpr (kNarrow) x_sums[t] >>= 8;
      const __m512i offset = _mm512_set1_epi32(-F::kOffset * x_sums[t]);
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        high[p][t] = kNarrow ? offset : _mm512_setzero_si512();
        low[p][t] = offset;
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < kGroups; ++i) {
      const int g = part * kGroups + i;
      __m512i codes[kPanelCount];
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        codes[p] = LoadGroup(block_codes[p], g);
      }
#pragma GCC unroll 8
      for (int t = 0; t < kTokenCount; ++t) {
        const __m512i x_high = Broadcast4(x[t].blocks[block].high, g);
#pragma GCC unroll 4
        for (int p = 0; p < kPanelCount; ++p) {
          high[p][t] = _mm512_dpbusd_epi32(high[p][t], codes[p], x_high);
        }
        if constexpr (!kNarrow) {
          const __m512i x_low = Broadcast4(x[t].blocks[block].low, g);
#pragma GCC unroll 4
          for (int p = 0; p < kPanelCount; ++p) {
            low[p][t] = _mm512_dpbusd_epi32(low[p][t], codes[p], x_low);
          }
        }
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTokenCount; ++t) {
      const __m512 x_scale = kNarrow ? V::Zero() : V::Set(x[t].scales[block]);
      const __m512 x_sum = V::Set(static_cast<float>(x_sums[t]));
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        __m512i dots = high[p][t];
        if constexpr (!kNarrow) {
          dots = _mm512_add_epi32(_mm512_slli_epi32(dots, 8), low[p][t]);
        }
        const __m512 products = _mm512_cvtepi32_ps(dots);
        sums[p][t] =
            kNarrow ? scales[p].Accumulate(sums[p][t], part, products, x_sum)
                    : scales[p].Accumulate(sums[p][t], part, products, x_scale,
                                           x_sum);
      }
    }
  }
};

}  // namespace
}  // namespace mlad::avx512
