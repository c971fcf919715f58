// The block formats of packed matrices as data, and the scalar decoder of one
// panel's block that follows from it: a new format is a row of this table and
// a case of SplitTensorBlock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/packed_matrix.h"

namespace mlad {

struct BlockFormat {
  int low_bits = 8;                // of a code in the first plane: 8, 4 or 2
  int high_bits = 0;               // of a code in the second plane: 0 or 1
  int zero_code = 0;               // value(code) = code - zero_code, or
  const int8_t* levels = nullptr;  // value(code) = levels[code]
  int span = 32;                   // columns that share d (and n): 32 or 256
  int group = 0;             // columns that share s (and m); 0: there is no s
  bool signed_s = false;     // s is int8, else uint8
  bool has_minimum = false;  // n and m (m = 1 where group is 0)
  bool nibble_pair = false;  // s and m in one byte, m in its high nibble
};

/// False for kF32, kF16, kBF16.
bool IsBlockFormat(PackedFormat format);

/// The row of a block format.
const BlockFormat& GetBlockFormat(PackedFormat format);

/// Bytes of the codes of 32 columns of a panel.
int64_t BlockCodeBytes(const BlockFormat& format);

/// 32 columns of a panel, decoded: the weight of row r and column c is
/// scale[c / 16][r] * value[r][c] - minimum[c / 16][r], the products exact.
struct PanelBlock {
  int16_t value[kPanelRows][kQuantBlock];
  float scale[2][kPanelRows];    // d * s
  float minimum[2][kPanelRows];  // n * m, zeros where the format has none
};

/// Bytes of one row of a panel's scales region where group is not 0: one s, and
/// one m if there is, for each of the 16 rows.
int64_t GroupScaleBytes(const BlockFormat& format);

/// Bytes of d, and n if there is, for each of the 16 rows.
int64_t FloatScaleBytes(const BlockFormat& format);

/// Decodes columns [32 block, 32 block + 32) of a panel.
void DecodePanelBlock(const BlockFormat& format, const PanelRegions& regions,
                      const std::byte* panel, int64_t block, PanelBlock* out);

}  // namespace mlad
