// The codes of the block formats as bytes, with AVX-512.
// Only for files compiled for AVX-512 F, BW, DQ and VL.
#pragma once

#include <immintrin.h>

#include "kernels/simd_grid.h"
#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"

namespace mlad::avx512 {
namespace {

using Shorts32 [[gnu::vector_size(64)]] = uint16_t;

/// Bytes' bits from `shift` up to the bottom, their neighbours' bits on top.
[[gnu::always_inline]] inline __m512i ShiftDown(__m512i bytes, int shift) {
  return reinterpret_cast<__m512i>(reinterpret_cast<Shorts32>(bytes) >> shift);
}

/// Codes plus bit `bit` of `plane` at position `position`.
[[gnu::always_inline]] inline __m512i AddBit(__m512i codes, __m512i plane,
                                             int bit, int position) {
  const auto bits = reinterpret_cast<Shorts32>(plane);
  const auto moved = reinterpret_cast<__m512i>(
      bit > position ? bits >> (bit - position) : bits << (position - bit));
  // codes | (moved & mask)
  return _mm512_ternarylogic_epi32(
      codes, moved, _mm512_set1_epi8(static_cast<char>(1 << position)), 0xF8);
}

/// The codes of a format's levels.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline __m512i ToLevels(__m512i codes) {
  const __m512i levels = _mm512_broadcast_i32x4(_mm_load_si128(
      reinterpret_cast<const __m128i*>(kLevelCodes<kFormat>.bytes)));
  return _mm512_shuffle_epi8(levels, codes);
}

/// u8 codes of columns 4 g .. 4 g + 3 of a block of a panel.
template <PackedFormat kFormat>
[[gnu::always_inline]] inline __m512i LoadCodes(const std::byte* block, int g) {
  using F = QuantFormat<kFormat>;
  if constexpr (F::kLowBits == 8) return _mm512_loadu_si512(block + g * 64);
  constexpr int kLines = F::kLowBits;  // of 64 bytes, 8 / kLowBits groups each
  __m512i codes = _mm512_loadu_si512(block + g % kLines * 64);
  codes = _mm512_and_si512(ShiftDown(codes, g / kLines * F::kLowBits),
                           _mm512_set1_epi8((1 << F::kLowBits) - 1));
  if constexpr (F::kHighBits == 1) {
    codes = AddBit(codes, _mm512_loadu_si512(block + F::kLowPlaneBytes), g,
                   F::kLowBits);
  }
  if constexpr (F::kHasLevels) return ToLevels<kFormat>(codes);
  return codes;
}

/// Calls store(g, codes) with the u8 codes of each group of columns of a block.
template <PackedFormat kFormat, class Store>
[[gnu::always_inline]] inline void ForGroups(const PanelRegions& regions,
                                             const std::byte* panel,
                                             int64_t block, Store store) {
  using F = QuantFormat<kFormat>;
  const std::byte* at = panel + block * F::kBlockBytes;
  if constexpr (!F::kHasGrid) {
#pragma GCC unroll 8
    for (int g = 0; g < kBlockGroups; ++g) store(g, LoadCodes<kFormat>(at, g));
    return;
  } else {
    GridLines lines;
    GridDecoder<kFormat>::LookUp(
        at, panel + regions.scales + block / 2 * F::kGroupPairBytes,
        static_cast<int>(block % 2) * 4, GridEntries(F::kLayout.grid), &lines);
    const __m512i top = _mm512_load_si512(lines.top);
#pragma GCC unroll 8
    for (int g = 0; g < kBlockGroups; ++g) {
      const __m512i codes = _mm512_and_si512(
          ShiftDown(_mm512_load_si512(lines.line[g / 2]), g % 2 * 4),
          _mm512_set1_epi8(15));
      store(g, ToLevels<kFormat>(AddBit(codes, top, g, 3)));
    }
  }
}

/// The job's codes less `kOffset`, for which s8 has room.
template <PackedFormat kFormat, int kOffset = 0>
inline void UnpackCodes(const PanelRegions& regions, const UnpackJob& job) {
  std::byte* out = job.out;
  const __m512i offset = _mm512_set1_epi8(static_cast<char>(kOffset));
  for (int64_t block = job.begin; block < job.end; ++block) {
    Prefetch<QuantFormat<kFormat>::kBlockBytes>(
        job.ahead + (block - job.begin) * QuantFormat<kFormat>::kBlockBytes);
    ForGroups<kFormat>(
        regions, job.panel,
        block, [&](int g, __m512i codes) __attribute__((always_inline)) {
          if constexpr (kOffset != 0) codes = _mm512_sub_epi8(codes, offset);
          _mm512_store_si512(out + g * 64, codes);
        });
    out += kPanelRows * kQuantBlock;
  }
}

}  // namespace
}  // namespace mlad::avx512
