#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/float16.h"
#include "quant/block_format.h"
#include "quant/code_planes.h"
#include "quant/packed_matrix.h"
#include "quant/tensor_block.h"
#include "quant/tensor_type.h"

namespace mlad {
namespace {

// Where one panel of a block format lies, and how.
struct PanelWriter {
  const BlockFormat& format;
  PanelRegions regions;
  std::byte* panel;

  // Scales of the block whose first column is `column`.
  void PutScales(int64_t column, int row, const TensorBlock& block) const {
    std::byte* floats = panel +
                        (format.group == 0 ? regions.scales : regions.supers) +
                        column / format.span * FloatScaleBytes(format);
    if (format.exponent_d) {
      floats[row] = static_cast<std::byte>(block.d);
    } else {
      std::memcpy(floats + 2 * row, &block.d, 2);
    }
    if (format.has_minimum) {
      std::memcpy(floats + 2 * (kPanelRows + row), &block.n, 2);
    }
    for (int i = 0; format.group != 0 && i < format.span / format.group; ++i) {
      PutGroupScale(column / format.group + i, row, block, i);
    }
  }

  // s and m of group `group`, which is group `i` of the block.
  void PutGroupScale(int64_t group, int row, const TensorBlock& block,
                     int i) const {
    std::byte* scales = panel + regions.scales + row;
    if (format.odd_s) {
      int s = block.s[i];
      if (format.top_bit == TopBit::kEach32) s |= block.codes[32 * i] & 8;
      std::byte* to = scales + group / 2 * kPanelRows;
      *to = group % 2 == 0 ? static_cast<std::byte>(s)
                           : *to | static_cast<std::byte>(s << 4);
      return;
    }
    std::byte* to = scales + GroupScaleBytes(format, group);
    if (format.nibble_pair) {
      *to = static_cast<std::byte>(block.s[i] | block.m[i] << 4);
    } else {
      *to = std::byte{block.s[i]};
      if (format.has_minimum) to[kPanelRows] = std::byte{block.m[i]};
    }
  }

  void PutBlock(int64_t column, int row, const TensorBlock& block) const {
    std::byte* to = panel + column / kQuantBlock * BlockCodeBytes(format);
    for (int c = 0; c < format.span; c += kQuantBlock) {
      if (format.grid == Grid::kNone) {
        PutRowCodes(format, row, block.codes + c, to);
      } else {
        PutRowIndices(format, row, block.indices + c / format.grid_columns,
                      block.codes + c, to);
      }
      to += BlockCodeBytes(format);
    }
    PutScales(column, row, block);
  }
};

// The block of a padding row: every weight is zero.
TensorBlock ZeroBlock(const BlockFormat& format) {
  TensorBlock block;
  std::memset(block.codes, format.zero_code, sizeof(block.codes));
  std::memset(block.indices, 0, sizeof(block.indices));
  std::memset(block.s, 0, sizeof(block.s));
  std::memset(block.m, 0, sizeof(block.m));
  return block;
}

void PackBlockRows(TensorType type, const std::byte* source, int64_t rows,
                   int64_t cols, std::byte* out) {
  const PackedFormat packed_format = PackedFormatFor(type);
  const BlockFormat& format = GetBlockFormat(packed_format);
  const PanelRegions regions = GetPanelRegions(packed_format, cols);
  const TensorTypeInfo& info = GetTensorType(type);
  MLAD_DCHECK(info.block_elements == format.span);
  const TensorBlock zero = ZeroBlock(format);
  TensorBlock block;
  for (int64_t row = 0; row < rows; row += kPanelRows) {
    const PanelWriter writer = {format, regions, out};
    std::memset(out + regions.scales, 0, regions.bytes - regions.scales);
    for (int r = 0; r < kPanelRows; ++r) {
      for (int64_t c = 0; c < cols; c += format.span) {
        if (row + r >= rows) {
          writer.PutBlock(c, r, zero);
          continue;
        }
        SplitTensorBlock(type, source, &block);
        source += info.block_bytes;
        writer.PutBlock(c, r, block);
      }
    }
    out += regions.bytes;
  }
}

// Transposes rows of elements of T into panels [cols][16].
template <typename T>
void PackElements(const std::byte* source, int64_t rows, int64_t cols,
                  int64_t panel_bytes, std::byte* out) {
  const int64_t row_bytes = cols * static_cast<int64_t>(sizeof(T));
  for (int64_t row = 0; row < rows; row += kPanelRows) {
    std::memset(out, 0, panel_bytes);
    const int64_t count = std::min<int64_t>(kPanelRows, rows - row);
    for (int64_t r = 0; r < count; ++r) {
      const std::byte* from = source + (row + r) * row_bytes;
      for (int64_t c = 0; c < cols; ++c) {
        std::memcpy(out + (c * kPanelRows + r) * sizeof(T),
                    from + c * sizeof(T), sizeof(T));
      }
    }
    out += panel_bytes;
  }
}

}  // namespace

void PackRows(TensorType type, const std::byte* source, int64_t rows,
              int64_t cols, std::byte* out) {
  const PackedFormat format = PackedFormatFor(type);
  if (IsBlockFormat(format)) {
    PackBlockRows(type, source, rows, cols, out);
  } else if (format == PackedFormat::kF32) {
    PackElements<uint32_t>(source, rows, cols, PanelBytes(format, cols), out);
  } else {
    PackElements<uint16_t>(source, rows, cols, PanelBytes(format, cols), out);
  }
}

void PackFloatRows(PackedFormat format, const float* source, int64_t rows,
                   int64_t cols, std::byte* out) {
  MLAD_CHECK(!IsBlockFormat(format));
  const int64_t panel_bytes = PanelBytes(format, cols);
  if (format == PackedFormat::kF32) {
    PackElements<float>(reinterpret_cast<const std::byte*>(source), rows, cols,
                        panel_bytes, out);
    return;
  }
  for (int64_t row = 0; row < rows; row += kPanelRows) {
    std::memset(out, 0, panel_bytes);
    const int64_t count = std::min<int64_t>(kPanelRows, rows - row);
    for (int64_t r = 0; r < count; ++r) {
      const float* from = source + (row + r) * cols;
      for (int64_t c = 0; c < cols; ++c) {
        const uint16_t bits = format == PackedFormat::kF16 ? F32ToF16(from[c])
                                                           : F32ToBF16(from[c]);
        std::memcpy(out + (c * kPanelRows + r) * 2, &bits, 2);
      }
    }
    out += panel_bytes;
  }
}

}  // namespace mlad
