// Matmul of the block formats with AVX2: lanes are rows, and one vpmaddwd
// multiplies 2 columns of 8 rows by 2 activations of 16 bits in every lane.
// (vpmaddubsw would need no widening, but its 16-bit sums saturate.)
// Only for files compiled for AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include "kernels/simd_grid.h"
#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"
#include "kernels/vector_avx2.h"

namespace mlad::avx2 {

/// The formats that avx2_quant_matmul.cc leaves to another file.
void MatMulUnpacked(const MatMulArgs& args) noexcept;

namespace {

constexpr int kHalves = kPanelRows / Avx2::kLanes;  // vectors of a panel's rows
constexpr int kHalfBlockGroups = kBlockGroups / 2;

using Shorts16 [[gnu::vector_size(32)]] = uint16_t;

/// A group's bytes of 8 rows.
[[gnu::always_inline]] inline __m256i LoadBytes(const void* line, int half) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(line) + half);
}
[[gnu::always_inline]] inline void StoreBytes(void* line, int half,
                                              __m256i bytes) {
  _mm256_storeu_si256(static_cast<__m256i*>(line) + half, bytes);
}

/// Bytes' bits from `shift` up to the bottom, their neighbours' bits on top.
[[gnu::always_inline]] inline __m256i ShiftDown(__m256i bytes, int shift) {
  return reinterpret_cast<__m256i>(reinterpret_cast<Shorts16>(bytes) >> shift);
}

/// Codes plus bit `bit` of `plane` at position `position`.
[[gnu::always_inline]] inline __m256i AddBit(__m256i codes, __m256i plane,
                                             int bit, int position) {
  const auto bits = reinterpret_cast<Shorts16>(plane);
  const auto moved = reinterpret_cast<__m256i>(
      bit > position ? bits >> (bit - position) : bits << (position - bit));
  const __m256i mask = _mm256_set1_epi8(static_cast<char>(1 << position));
  return _mm256_or_si256(codes, _mm256_and_si256(moved, mask));
}

/// The codes of a format's levels.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline __m256i ToLevels(__m256i codes) {
  const __m256i levels = _mm256_broadcastsi128_si256(_mm_load_si128(
      reinterpret_cast<const __m128i*>(kLevelCodes<kFormat>.bytes)));
  return _mm256_shuffle_epi8(levels, codes);
}

/// u8 codes in the low or, if `upper`, the high nibbles of 8 rows of a line.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline __m256i LoadNibbles(const std::byte* line,
                                                  bool upper, int half) {
  static_assert(QuantFormat<kFormat>::kLowBits == 4);
  const __m256i bytes = LoadBytes(line, half);
  const __m256i codes = _mm256_and_si256(
      upper ? _mm256_srli_epi16(bytes, 4) : bytes, _mm256_set1_epi8(0x0F));
  if constexpr (QuantFormat<kFormat>::kHasLevels) {
    return ToLevels<kFormat>(codes);
  }
  return codes;
}

/// u8 codes of columns 4 g .. 4 g + 3 of 8 rows of a block of a panel, in any
/// planes.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline __m256i LoadPlanes(const std::byte* block, int g,
                                                 int half) {
  using F = QuantFormat<kFormat>;
  constexpr int kLines = F::kLowBits;  // of 64 bytes, 8 / kLowBits groups each
  __m256i codes = LoadBytes(block + g % kLines * 64, half);
  codes = _mm256_and_si256(ShiftDown(codes, g / kLines * F::kLowBits),
                           _mm256_set1_epi8((1 << F::kLowBits) - 1));
  if constexpr (F::kHighBits == 1) {
    codes = AddBit(codes, LoadBytes(block + F::kLowPlaneBytes, half), g,
                   F::kLowBits);
  }
  if constexpr (F::kHasLevels) return ToLevels<kFormat>(codes);
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

/// kUnpacked: multiplies codes that Unpack has made.
template <PackedFormat kFormat, bool kUnpacked = false>
struct QuantMatMul {
  using V = Avx2;
  using F = QuantFormat<kFormat>;
  static constexpr int kPanels = 1;
  static constexpr int kTokens = 4;
  static constexpr int64_t kBlockBytes =
      kUnpacked ? kPanelRows * kQuantBlock : F::kBlockBytes;

  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void Dots(
      const MatMulArgs& args, const PanelRegions& regions,
      MatMulTile<V, kPanelCount, kTokenCount>* tile) {
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      tile->dots[0][t][0] = tile->dots[0][t][1] = V::Zero();
    }
    const BlockSpan<kPanelCount> span = {
        {tile->panels[0]}, 0, args.w.cols / kQuantBlock};
    AddBlocks(args, regions, span, tile);
  }

  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void AddBlocks(
      const MatMulArgs& args, const PanelRegions& regions,
      const BlockSpan<kPanelCount>& span,
      MatMulTile<V, kPanelCount, kTokenCount>* tile) {
    static_assert(kPanelCount == 1);
    const std::byte* panel = tile->panels[0];
    TokenRow x[kTokenCount];
    __m256 sums[kTokenCount][kHalves];
#pragma GCC unroll 4
    for (int t = 0; t < kTokenCount; ++t) {
      x[t] = TokenRow::Of(args, tile->x_rows[t]);
      sums[t][0] = tile->dots[0][t][0];
      sums[t][1] = tile->dots[0][t][1];
    }
    for (int64_t block = span.begin; block < span.end; ++block) {
      if constexpr (kTokenCount == 1 && !kUnpacked) {
        PrefetchCodes<kFormat>(panel, block);
      }
      BlockPairs pairs[kTokenCount];
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) pairs[t].Load(x[t].blocks[block]);
      BlockScales<V, kFormat> scales[kHalves];
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        scales[half].Load(panel, regions, block, half * V::kLanes);
      }
      const std::byte* codes =
          span.codes[0] + (block - span.begin) * kBlockBytes;
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

  static void Unpack(const PanelRegions& regions, const UnpackJob& job) {
    std::byte* out = job.out;
    for (int64_t block = job.begin; block < job.end; ++block) {
      Prefetch<F::kBlockBytes>(job.ahead +
                               (block - job.begin) * F::kBlockBytes);
      if constexpr (F::kHasGrid) {
        UnpackGrid(regions, job.panel, block, out);
      } else {
        const std::byte* codes = job.panel + block * F::kBlockBytes;
#pragma GCC unroll 8
        for (int g = 0; g < kBlockGroups; ++g) {
          StoreBytes(out + g * 64, 0, LoadPlanes<kFormat>(codes, g, 0));
          StoreBytes(out + g * 64, 1, LoadPlanes<kFormat>(codes, g, 1));
        }
      }
      out += kPanelRows * kQuantBlock;
    }
  }

 private:
  [[gnu::always_inline]] static inline void UnpackGrid(
      const PanelRegions& regions, const std::byte* panel, int64_t block,
      std::byte* out) {
    GridLines lines;
    GridDecoder<kFormat>::LookUp(
        panel + block * F::kBlockBytes,
        panel + regions.scales + block / 2 * F::kGroupPairBytes,
        static_cast<int>(block % 2) * 4, GridEntries(F::kLayout.grid), &lines);
#pragma GCC unroll 8
    for (int g = 0; g < kBlockGroups; ++g) {
#pragma GCC unroll 2
      for (int half = 0; half < kHalves; ++half) {
        const __m256i codes = _mm256_and_si256(
            ShiftDown(LoadBytes(lines.line[g / 2], half), g % 2 * 4),
            _mm256_set1_epi8(15));
        StoreBytes(
            out + g * 64, half,
            ToLevels<kFormat>(AddBit(codes, LoadBytes(lines.top, half), g, 3)));
      }
    }
  }

  /// The codes of `group` of the half block `upper`.
  [[gnu::always_inline]] static inline __m256i LoadGroup(const std::byte* block,
                                                         bool upper, int group,
                                                         int half) {
    if constexpr (kUnpacked || F::kLowBits == 8) {
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
