// Where a panel keeps the codes of a block of 32 columns, by row; the layout is
// in packed_matrix.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/block_format.h"

namespace mlad {

/// Stores the 32 codes of row `row` of the block that starts at `block`.
void PutRowCodes(const BlockFormat& format, int row, const uint8_t* codes,
                 std::byte* block);

/// Reads them back.
void GetRowCodes(const BlockFormat& format, const std::byte* block, int row,
                 uint8_t* codes);

}  // namespace mlad
