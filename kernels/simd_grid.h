// The codes of the formats with a codebook: one table look-up gives those of 8
// or 4 columns of a row. Compiled for one instruction set, like all simd_*.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/simd_quant_format.h"

namespace mlad {
namespace {

using Bytes16 [[gnu::vector_size(16)]] = uint8_t;
using Words16 [[gnu::vector_size(32)]] = uint16_t;

/// 32 columns of 16 rows as nibbles: byte j of line[i][row] has the grid code
/// of column 8 i + j in its low and of 8 i + 4 + j in its high nibble; bit k of
/// byte j of top[row] is the top bit of column 4 k + j.
struct GridLines {
  alignas(64) uint32_t line[4][kPanelRows];
  alignas(64) uint32_t top[kPanelRows];
};

template <PackedFormat kFormat>
struct GridDecoder {
  using F = QuantFormat<kFormat>;
  static constexpr BlockFormat kLayout = F::kLayout;
  static constexpr int kIndices = kQuantBlock / kLayout.grid_columns;
  static constexpr bool kHasPairs = kLayout.index_bits >= 10;
  static constexpr bool kHasBits = kLayout.index_bits % 2 == 1;
  static constexpr int kPairsAt = kIndices * kPanelRows;
  static constexpr int kBitsAt =
      kPairsAt + (kHasPairs ? kIndices / 4 * kPanelRows : 0);
  static constexpr int kTopAt =
      kBitsAt + (kHasBits ? kIndices * kPanelRows / 8 : 0);

  /// `block` starts the indices of 32 columns of a panel, `s` the 16 bytes with
  /// their s, in the nibble that starts at bit `shift`.
  [[gnu::always_inline]] static inline void LookUp(const std::byte* block,
                                                   const std::byte* s,
                                                   int shift,
                                                   const uint32_t* entries,
                                                   GridLines* out) {
    PutTopBits(block, s, shift, out);
    if constexpr (kLayout.index_bits == 8) {
      PutLines(reinterpret_cast<const uint8_t*>(block), entries, out);
    } else {
      alignas(64) uint16_t indices[kIndices * kPanelRows];
      JoinIndices(block, indices);
      PutLines(indices, entries, out);
    }
  }

 private:
  template <typename T>
  [[gnu::always_inline]] static inline T Load(const std::byte* at) {
    T value;
    __builtin_memcpy(&value, at, sizeof(value));
    return value;
  }

  /// Four bits of each row from 8 bytes.
  [[gnu::always_inline]] static inline Bytes16 LoadRowNibbles(
      const std::byte* at) {
    constexpr uint64_t kLow = 0x0F0F0F0F0F0F0F0F;
    const auto both = Load<uint64_t>(at);
    const uint64_t halves[2] = {both & kLow, both >> 4 & kLow};
    return Load<Bytes16>(reinterpret_cast<const std::byte*>(halves));
  }

  [[gnu::always_inline]] static inline void JoinIndices(const std::byte* block,
                                                        uint16_t* indices) {
    [[maybe_unused]] Words16 bits;
    if constexpr (kHasBits) {
      bits = __builtin_convertvector(kIndices == 4
                                         ? LoadRowNibbles(block + kBitsAt)
                                         : Load<Bytes16>(block + kBitsAt),
                                     Words16);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kIndices; ++i) {
      auto index = __builtin_convertvector(
          Load<Bytes16>(block + i * kPanelRows), Words16);
      if constexpr (kHasPairs) {
        const auto pairs = __builtin_convertvector(
            Load<Bytes16>(block + kPairsAt + i / 4 * kPanelRows), Words16);
        index |= (pairs >> (i % 4 * 2) & 3) << 8;
      }
      if constexpr (kHasBits) {
        index |= (bits >> i & 1) << (kLayout.index_bits - 1);
      }
      __builtin_memcpy(indices + i * kPanelRows, &index, sizeof(index));
    }
  }

  template <typename Index>
  [[gnu::always_inline]] static inline void PutLines(const Index* indices,
                                                     const uint32_t* entries,
                                                     GridLines* out) {
    uint32_t* lines = out->line[0];
    if constexpr (kLayout.grid_columns == 8) {
#pragma GCC unroll 8
      for (int i = 0; i < 4 * kPanelRows; ++i) lines[i] = entries[indices[i]];
    } else {
      for (int i = 0; i < 4; ++i) {
        const Index* low = indices + 2 * i * kPanelRows;
#pragma GCC unroll 8
        for (int row = 0; row < kPanelRows; ++row) {
          out->line[i][row] = entries[low[row]] | entries[low[kPanelRows + row]]
                                                      << 4;
        }
      }
    }
  }

  [[gnu::always_inline]] static inline void PutTopBits(const std::byte* block,
                                                       const std::byte* s,
                                                       int shift,
                                                       GridLines* out) {
    if constexpr (kLayout.top_bit == TopBit::kEachColumn) {
      __builtin_memcpy(out->top, block + kTopAt, sizeof(out->top));
    } else if constexpr (kLayout.top_bit == TopBit::kEachEight) {
      // Bit i of a row's nibble becomes bits 2 i and 2 i + 1 of 4 bytes.
      const Bytes16 nibbles = LoadRowNibbles(block + kTopAt);
      for (int row = 0; row < kPanelRows; ++row) {
        const uint32_t n = nibbles[row];
        const uint32_t even =
            (n & 1) | (n & 2) << 1 | (n & 4) << 2 | (n & 8) << 3;
        out->top[row] = (even | even << 1) * 0x01010101u;
      }
    } else {
      const auto nibbles = Load<Bytes16>(s);
      for (int row = 0; row < kPanelRows; ++row) {
        const uint32_t n = nibbles[row];
        out->top[row] = 0 - (n >> (shift + 3) & 1);
      }
    }
  }
};

}  // namespace
}  // namespace mlad
