// The block formats of packed matrices as data, and the scalar decoder of one
// panel's block that follows from it: a new format is a row of this table and
// a case of SplitTensorBlock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/grid.h"
#include "quant/packed_matrix.h"

namespace mlad {

/// Where a format with a codebook has bit 3 of its codes.
enum class TopBit : uint8_t {
  kEachColumn,  // in a plane of 1 bit a column
  kEachEight,   // in a plane of 1 bit for 8 columns
  kEach32,      // on top of s
};

struct BlockFormat {
  int low_bits = 8;                // of a code in the first plane: 8, 4 or 2
  int high_bits = 0;               // of a code in the second plane: 0 or 1
  int zero_code = 0;               // value(code) = code - zero_code, or
  const int8_t* levels = nullptr;  // value(code) = levels[code], 16 of them
  // Not levels != nullptr: under UBSan that is no constant expression.
  bool has_levels = false;
  int span = 32;             // columns that share d (and n): 32 or 256
  int group = 0;             // columns that share s (and m); 0: there is no s
  bool signed_s = false;     // s is int8, else uint8
  bool has_minimum = false;  // n and m (m = 1 where group is 0)
  bool nibble_pair = false;  // s and m in one byte, m in its high nibble
  bool odd_s = false;        // s of two groups in a byte; it stands for 2 s + 1
  bool exponent_d = false;   // d is a byte e that stands for 2^(e - 128)
  float unit = 1;            // a power of two, factor of d

  /// Formats with a codebook: code = grid code | top bit << 3. Instead of the
  /// planes of codes there are those of indices.
  Grid grid = Grid::kNone;
  int grid_columns = 8;  // of an index
  int index_bits = 8;
  TopBit top_bit = TopBit::kEachColumn;
};

/// The 16 values of MXFP4's 4-bit floats, doubled.
inline constexpr int8_t kMx4Levels[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                          0, -1, -2, -3, -4, -6, -8, -12};
/// Eight times (code - 1 +- 1/8), minus where the top bit is set.
inline constexpr int8_t kIq1Levels[16] = {-7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7};
/// Magnitudes; the top bit is the sign.
inline constexpr int8_t kIq2Levels[16] = {8,  25,  43,  0, 0, 0, 0, 0,
                                          -8, -25, -43, 0, 0, 0, 0, 0};
inline constexpr int8_t kIq3XxsLevels[16] = {
    4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62};
inline constexpr int8_t kIq3SLevels[16] = {1,  3,  5,  7,  9,  11,  13,  15,
                                           -1, -3, -5, -7, -9, -11, -13, -15};

/// False for kF32, kF16, kBF16.
constexpr bool IsBlockFormat(PackedFormat format) {
  return format != PackedFormat::kF32 && format != PackedFormat::kF16 &&
         format != PackedFormat::kBF16;
}

/// The row of a block format.
template <PackedFormat kFormat>
inline constexpr BlockFormat kBlockFormat = {};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ8> = {
    .low_bits = 8, .zero_code = 128};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ4> = {.low_bits = 4,
                                                                .zero_code = 8};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kNL4> = {
    .low_bits = 4, .levels = kNonLinearLevels, .has_levels = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ4M> = {
    .low_bits = 4, .has_minimum = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ5> = {
    .low_bits = 4, .high_bits = 1, .zero_code = 16};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ5M> = {
    .low_bits = 4, .high_bits = 1, .has_minimum = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kMx4> = {
    .low_bits = 4,
    .levels = kMx4Levels,
    .has_levels = true,
    .exponent_d = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ2K> = {
    .low_bits = 2,
    .span = 256,
    .group = 16,
    .has_minimum = true,
    .nibble_pair = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ3K> = {
    .low_bits = 2,
    .high_bits = 1,
    .zero_code = 4,
    .span = 256,
    .group = 16,
    .signed_s = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ4K> = {
    .low_bits = 4, .span = 256, .group = 32, .has_minimum = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ5K> = {
    .low_bits = 4,
    .high_bits = 1,
    .span = 256,
    .group = 32,
    .has_minimum = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kQ6K> = {
    .low_bits = 8, .zero_code = 32, .span = 256, .group = 16, .signed_s = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kNL4K> = {
    .low_bits = 4,
    .levels = kNonLinearLevels,
    .has_levels = true,
    .span = 256,
    .group = 32,
    .signed_s = true};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kIq1S> = {
    .levels = kIq1Levels,
    .has_levels = true,
    .span = 256,
    .group = 32,
    .odd_s = true,
    .unit = 1.0f / 8,
    .grid = Grid::kIq1,
    .index_bits = 11,
    .top_bit = TopBit::kEach32};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kIq1M> = {
    .levels = kIq1Levels,
    .has_levels = true,
    .span = 256,
    .group = 16,
    .odd_s = true,
    .unit = 1.0f / 8,
    .grid = Grid::kIq1,
    .index_bits = 11,
    .top_bit = TopBit::kEachEight};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kIq2Xxs> = {
    .levels = kIq2Levels,
    .has_levels = true,
    .span = 256,
    .group = 32,
    .odd_s = true,
    .unit = 1.0f / 8,
    .grid = Grid::kIq2Xxs};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kIq2Xs> = {
    .levels = kIq2Levels,
    .has_levels = true,
    .span = 256,
    .group = 16,
    .odd_s = true,
    .unit = 1.0f / 8,
    .grid = Grid::kIq2Xs,
    .index_bits = 9};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kIq2S> = {
    .levels = kIq2Levels,
    .has_levels = true,
    .span = 256,
    .group = 16,
    .odd_s = true,
    .unit = 1.0f / 8,
    .grid = Grid::kIq2S,
    .index_bits = 10};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kIq3Xxs> = {
    .levels = kIq3XxsLevels,
    .has_levels = true,
    .span = 256,
    .group = 32,
    .odd_s = true,
    .unit = 1.0f / 4,
    .grid = Grid::kIq3Xxs,
    .grid_columns = 4};
template <>
inline constexpr BlockFormat kBlockFormat<PackedFormat::kIq3S> = {
    .levels = kIq3SLevels,
    .has_levels = true,
    .span = 256,
    .group = 32,
    .odd_s = true,
    .grid = Grid::kIq3S,
    .grid_columns = 4,
    .index_bits = 9};

/// The same at run time.
const BlockFormat& GetBlockFormat(PackedFormat format);

/// Bytes of the codes, or indices, of 32 columns of a panel.
constexpr int64_t BlockCodeBytes(const BlockFormat& format) {
  constexpr int64_t kCodes = kPanelRows * kQuantBlock;
  if (format.grid == Grid::kNone) {
    return kCodes * (format.low_bits + format.high_bits) / 8;
  }
  const int64_t index_bits = kCodes / format.grid_columns * format.index_bits;
  const int64_t top_bits = format.top_bit == TopBit::kEachColumn  ? kCodes
                           : format.top_bit == TopBit::kEachEight ? kCodes / 8
                                                                  : 0;
  return (index_bits + top_bits) / 8;
}

/// Bytes in a panel's scales region, where group is not 0, of `groups` s, and
/// m if there are, for each of the 16 rows.
constexpr int64_t GroupScaleBytes(const BlockFormat& format, int64_t groups) {
  if (format.odd_s) return kPanelRows * groups / 2;
  const bool two_bytes = format.has_minimum && !format.nibble_pair;
  return kPanelRows * groups * (two_bytes ? 2 : 1);
}

/// Bytes of d, and n if there is, for each of the 16 rows.
constexpr int64_t FloatScaleBytes(const BlockFormat& format) {
  if (format.exponent_d) return kPanelRows;
  return kPanelRows * 2 * (format.has_minimum ? 2 : 1);
}

/// d as a number: from its f16 bits or its exponent, times the unit.
float FloatScale(const BlockFormat& format, uint16_t bits);

/// 32 columns of a panel, decoded: the weight of row r and column c is
/// scale[c / 16][r] * value[r][c] - minimum[c / 16][r], the products exact.
struct PanelBlock {
  int16_t value[kPanelRows][kQuantBlock];
  float scale[2][kPanelRows];    // d * s
  float minimum[2][kPanelRows];  // n * m, zeros where the format has none
};

/// Decodes columns [32 block, 32 block + 32) of a panel.
void DecodePanelBlock(const BlockFormat& format, const PanelRegions& regions,
                      const std::byte* panel, int64_t block, PanelBlock* out);

}  // namespace mlad
