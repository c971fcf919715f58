// Where a panel keeps the codes of a block of 32 columns, by row; the layout is
// in packed_matrix.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/block_format.h"

namespace mlad {

/// The top bit of a code of a format with a codebook.
inline constexpr int kGridTopBit = 3;
/// Most indices of a row in 32 columns.
inline constexpr int kMaxRowIndices = 8;

/// Stores the 32 codes of row `row` of the block that starts at `block`; the
/// format has no codebook.
void PutRowCodes(const BlockFormat& format, int row, const uint8_t* codes,
                 std::byte* block);

/// The same for a format with a codebook: the indices of 32 columns, and the
/// top bits of their 32 codes where they are not on top of s.
void PutRowIndices(const BlockFormat& format, int row, const uint16_t* indices,
                   const uint8_t* codes, std::byte* block);

/// Adds to the codes of `columns` columns what their indices stand for.
void AddGridCodes(const BlockFormat& format, const uint16_t* indices,
                  int columns, uint8_t* codes);

/// Reads codes back, of any format; top bits on top of s are left out.
void GetRowCodes(const BlockFormat& format, const std::byte* block, int row,
                 uint8_t* codes);

}  // namespace mlad
