// The codebooks of the file formats IQ1, IQ2 and IQ3: an index into one names
// the codes of 8 or 4 consecutive columns. Which combinations they hold are
// facts of these formats, recorded from ggml's decoders by
// tests/quant/record_grids.py.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mlad {

enum class Grid : uint8_t {
  kNone,
  kIq1,     // 2048 entries of 8 columns, codes 0..2
  kIq2Xxs,  // 256 entries of 8 columns, codes 0..2
  kIq2Xs,   // 512
  kIq2S,    // 1024
  kIq3Xxs,  // 256 entries of 4 columns, codes 0..7
  kIq3S,    // 512
};

/// An entry has the code of column j in nibble 2 j and, where it has 8 columns,
/// that of column 4 + j in nibble 2 j + 1: byte j holds columns j and 4 + j.
template <size_t kEntries>
using GridTable = std::array<uint32_t, kEntries>;

extern const GridTable<2048> kIq1Grid;
extern const GridTable<256> kIq2XxsGrid;
extern const GridTable<512> kIq2XsGrid;
extern const GridTable<1024> kIq2SGrid;
extern const GridTable<256> kIq3XxsGrid;
extern const GridTable<512> kIq3SGrid;

/// The entries of a grid; null for kNone.
const uint32_t* GridEntries(Grid grid);

/// Makes a table of entries that are written with 2 bits a column (8 columns)
/// or 3 (4 columns), column 0 lowest.
template <int kBits, size_t kEntries>
constexpr GridTable<kEntries> MakeGridTable(
    const std::array<uint16_t, kEntries>& packed) {
  static_assert(kBits == 2 || kBits == 3);
  GridTable<kEntries> table{};
  for (size_t i = 0; i < kEntries; ++i) {
    for (int c = 0; c < (kBits == 2 ? 8 : 4); ++c) {
      const uint32_t code = packed[i] >> (kBits * c) & ((1 << kBits) - 1);
      table[i] |= code << (c % 4 * 8 + c / 4 * 4);
    }
  }
  return table;
}

}  // namespace mlad
