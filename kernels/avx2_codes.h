// The codes of the block formats as bytes, with AVX2.
// Only for files compiled for AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include "kernels/simd_grid.h"
#include "kernels/simd_quant_format.h"

namespace mlad::avx2 {
namespace {

inline constexpr int kHalves = 2;  // vectors of 4 bytes of a panel's rows

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
  if constexpr (F::kLowBits == 8) return LoadBytes(block + g * 64, half);
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

/// Calls store(g, half, codes) with the u8 codes of each group of columns of a
/// block.
template <PackedFormat kFormat, class Store>
[[gnu::always_inline]] inline void ForGroups(const PanelRegions& regions,
                                             const std::byte* panel,
                                             int64_t block, Store store) {
  using F = QuantFormat<kFormat>;
  const std::byte* at = panel + block * F::kBlockBytes;
  [[maybe_unused]] GridLines lines;
  if constexpr (F::kHasGrid) {
    GridDecoder<kFormat>::LookUp(
        at, panel + regions.scales + block / 2 * F::kGroupPairBytes,
        static_cast<int>(block % 2) * 4, GridEntries(F::kLayout.grid), &lines);
  }
#pragma GCC unroll 8
  for (int g = 0; g < kBlockGroups; ++g) {
#pragma GCC unroll 2
    for (int half = 0; half < kHalves; ++half) {
      if constexpr (F::kHasGrid) {
        const __m256i codes = _mm256_and_si256(
            ShiftDown(LoadBytes(lines.line[g / 2], half), g % 2 * 4),
            _mm256_set1_epi8(15));
        store(
            g, half,
            ToLevels<kFormat>(AddBit(codes, LoadBytes(lines.top, half), g, 3)));
      } else {
        store(g, half, LoadPlanes<kFormat>(at, g, half));
      }
    }
  }
}

}  // namespace
}  // namespace mlad::avx2
