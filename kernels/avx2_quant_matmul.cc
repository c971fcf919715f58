// Matmul of the block formats with AVX2: lanes are rows, and one vpmaddwd
// multiplies 2 columns of 8 rows by 2 activations of 16 bits in every lane.
// (vpmaddubsw would need no widening, but its 16-bit sums saturate.)
#include <immintrin.h>

#include "kernels/avx2_kernels.h"
#include "kernels/scalar_kernels.h"
#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"
#include "kernels/vector_avx2.h"

namespace mlad::avx2 {
namespace {

constexpr int kHalves = kPanelRows / Avx2::kLanes;  // vectors of a panel's rows
constexpr int kHalfBlockGroups = kBlockGroups / 2;

/// u8 codes of 4 columns, those of `group` in the half block `upper`, of 8 rows
/// of a block of a panel.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline __m256i LoadCodes(const std::byte* block,
                                                bool upper, int group,
                                                int half) {
  constexpr bool kWholeBytes = QuantFormat<kFormat>::kWholeBytes;
  const int line = kWholeBytes && upper ? kHalfBlockGroups + group : group;
  const __m256i bytes = _mm256_loadu_si256(
      reinterpret_cast<const __m256i*>(block + line * 64 + half * 32));
  if constexpr (kWholeBytes) return bytes;
  const __m256i codes = _mm256_and_si256(
      upper ? _mm256_srli_epi16(bytes, 4) : bytes, _mm256_set1_epi8(0x0F));
  if constexpr (kFormat == PackedFormat::kNL4) {
    const __m256i levels = _mm256_broadcastsi128_si256(
        _mm_load_si128(reinterpret_cast<const __m128i*>(kLevelCodes.bytes)));
    return _mm256_shuffle_epi8(levels, codes);
  }
  return codes;
}

/// The activations of a block as pairs of 16 bits, as vpmaddwd meets them when
/// the bytes of a group of codes are split into even and odd ones.
struct BlockPairs {
  alignas(32) int32_t even[kBlockGroups];  // columns 4 g and 4 g + 2
  alignas(32) int32_t odd[kBlockGroups];   // columns 4 g + 1 and 4 g + 3

  [[gnu::always_inline]] inline void Load(const ActivationBlock& block) {
    const __m256i high =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.high));
    const __m256i low =
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.low));
    const __m256i low_even = _mm256_srai_epi16(_mm256_slli_epi16(low, 8), 8);
    const __m256i low_odd = _mm256_srai_epi16(low, 8);
    const __m256i upper_byte = _mm256_set1_epi16(-256);
    _mm256_store_si256(reinterpret_cast<__m256i*>(even),
                       _mm256_add_epi16(_mm256_slli_epi16(high, 8), low_even));
    _mm256_store_si256(
        reinterpret_cast<__m256i*>(odd),
        _mm256_add_epi16(_mm256_and_si256(high, upper_byte), low_odd));
  }
};

template <PackedFormat kFormat>
struct QuantMatMul {
  using V = Avx2;
  using F = QuantFormat<kFormat>;
  static constexpr int kPanels = 1;
  static constexpr int kTokens = 4;

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
    for (int64_t block = 0; block < args.w.cols / kQuantBlock; ++block) {
      if constexpr (kTokenCount == 1) PrefetchCodes<kFormat>(panel, block);
      BlockPairs pairs[kTokenCount];
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) pairs[t].Load(x[t].blocks[block]);
      BlockScales<V, kFormat> scales[kHalves];
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        scales[half].Load(panel, regions, block, half * V::kLanes);
      }
#pragma GCC unroll 2
      for (int part = 0; part < F::kScalesPerBlock; ++part) {
        AddPart<kTokenCount>(panel + block * F::kBlockBytes, x, pairs, block,
                             part, scales, sums);
      }
    }
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      tile->dots[0][t][0] = sums[t][0];
      tile->dots[0][t][1] = sums[t][1];
    }
  }

 private:
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
        const __m256i bytes = LoadCodes<kFormat>(codes, upper, group, half);
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

}  // namespace mlad::avx2
