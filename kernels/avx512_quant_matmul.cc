// Matmul of the block formats with AVX-512 VNNI: lanes are rows, and one
// vpdpbusd multiplies 4 columns of 16 rows by 4 activations in every lane.
#include <immintrin.h>

#include "kernels/avx512_kernels.h"
#include "kernels/scalar_kernels.h"
#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"
#include "kernels/vector_avx512.h"

namespace mlad::avx512 {
namespace {

/// u8 codes of columns 4 g .. 4 g + 3 of a block of a panel.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline __m512i LoadCodes(const std::byte* block, int g) {
  if constexpr (QuantFormat<kFormat>::kWholeBytes) {
    return _mm512_loadu_si512(block + g * 64);
  }
  const __m512i nibble = _mm512_set1_epi8(0x0F);
  const __m512i both = _mm512_loadu_si512(block + g % 4 * 64);
  const __m512i codes =
      _mm512_and_si512(g < 4 ? both : _mm512_srli_epi16(both, 4), nibble);
  if constexpr (kFormat == PackedFormat::kNL4) {
    const __m512i levels = _mm512_broadcast_i32x4(
        _mm_load_si128(reinterpret_cast<const __m128i*>(kLevelCodes.bytes)));
    return _mm512_shuffle_epi8(levels, codes);
  }
  return codes;
}

/// Four activations of one plane in every lane.
[[gnu::always_inline]] inline __m512i Broadcast4(const int8_t* plane, int g) {
  int32_t four;
  __builtin_memcpy(&four, plane + g * kGroupColumns, sizeof(four));
  return _mm512_set1_epi32(four);
}

template <PackedFormat kFormat>
struct QuantMatMul {
  using V = Avx512;
  using F = QuantFormat<kFormat>;
  static constexpr int kPanels = 2;
  static constexpr int kTokens = 4;

  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void Dots(
      const MatMulArgs& args, const PanelRegions& regions,
      MatMulTile<V, kPanelCount, kTokenCount>* tile) {
    const int64_t blocks = args.w.cols / kQuantBlock;
    TokenRow x[kTokenCount];
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      x[t] = TokenRow::Of(args, tile->x_rows[t]);
    }
    __m512 sums[kPanelCount][kTokenCount];
#pragma GCC unroll 4
    for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) sums[p][t] = V::Zero();
    }
    for (int64_t block = 0; block < blocks; ++block) {
      BlockScales<V, kFormat> scales[kPanelCount];
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        scales[p].Load(tile->panels[p], regions, block, 0);
        if constexpr (kTokenCount == 1) {
          PrefetchCodes<kFormat>(tile->panels[p], block);
        }
      }
#pragma GCC unroll 2
      for (int part = 0; part < F::kScalesPerBlock; ++part) {
        AddPart<kPanelCount, kTokenCount>(tile->panels, x, block, part, scales,
                                          sums);
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) tile->dots[p][t][0] = sums[p][t];
    }
  }

 private:
  /// Adds the columns of `block` that share scale `part`.
  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void AddPart(
      const std::byte* const (&panels)[kPanelCount],
      const TokenRow (&x)[kTokenCount], int64_t block, int part,
      const BlockScales<V, kFormat> (&scales)[kPanelCount],
      __m512 (&sums)[kPanelCount][kTokenCount]) {
    constexpr int kGroups = kBlockGroups / F::kScalesPerBlock;
    __m512i high[kPanelCount][kTokenCount];
    __m512i low[kPanelCount][kTokenCount];
    __m512i x_sums[kTokenCount];
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      x_sums[t] = _mm512_set1_epi32(F::SumOfPart(x[t].sums[block], part));
      const __m512i offset =
          _mm512_mullo_epi32(x_sums[t], _mm512_set1_epi32(-F::kOffset));
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        high[p][t] = _mm512_setzero_si512();
        low[p][t] = offset;
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < kGroups; ++i) {
      const int g = part * kGroups + i;
      __m512i codes[kPanelCount];
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        codes[p] = LoadCodes<kFormat>(panels[p] + block * F::kBlockBytes, g);
      }
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) {
        const __m512i x_high = Broadcast4(x[t].blocks[block].high, g);
        const __m512i x_low = Broadcast4(x[t].blocks[block].low, g);
#pragma GCC unroll 4
        for (int p = 0; p < kPanelCount; ++p) {
          high[p][t] = _mm512_dpbusd_epi32(high[p][t], codes[p], x_high);
          low[p][t] = _mm512_dpbusd_epi32(low[p][t], codes[p], x_low);
        }
      }
    }
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      const __m512 x_scale = V::Set(x[t].scales[block]);
      const __m512 x_sum = _mm512_cvtepi32_ps(x_sums[t]);
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
        const __m512i dots =
            _mm512_add_epi32(_mm512_slli_epi32(high[p][t], 8), low[p][t]);
        sums[p][t] = scales[p].Accumulate(
            sums[p][t], part, _mm512_cvtepi32_ps(dots), x_scale, x_sum);
      }
    }
  }
};

}  // namespace

void MatMulQuantized(const MatMulArgs& args) noexcept {
  switch (args.w.format) {
    case PackedFormat::kQ8:
      return RunMatMul<QuantMatMul<PackedFormat::kQ8>>(args);
    case PackedFormat::kQ4:
      return RunMatMul<QuantMatMul<PackedFormat::kQ4>>(args);
    case PackedFormat::kNL4:
      return RunMatMul<QuantMatMul<PackedFormat::kNL4>>(args);
    case PackedFormat::kQ4K:
      return RunMatMul<QuantMatMul<PackedFormat::kQ4K>>(args);
    case PackedFormat::kQ6K:
      return RunMatMul<QuantMatMul<PackedFormat::kQ6K>>(args);
    default:
      // The others run on the same quantised activations.
      return scalar::MatMul(args);
  }
}

}  // namespace mlad::avx512
