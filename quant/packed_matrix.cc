#include "quant/packed_matrix.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/float16.h"
#include "quant/block_format.h"

namespace mlad {
namespace {

constexpr int64_t kAlignment = 64;

int64_t Align(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t FloatBytes(PackedFormat format) {
  return format == PackedFormat::kF32 ? 4 : 2;
}

float LoadFloat(PackedFormat format, const std::byte* at) {
  if (format == PackedFormat::kF32) {
    float value;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return format == PackedFormat::kF16 ? F16ToF32(bits) : BF16ToF32(bits);
}

void UnpackFloatRow(PackedFormat format, const std::byte* panel, int row,
                    int64_t cols, float* out) {
  const int64_t bytes = FloatBytes(format);
  for (int64_t c = 0; c < cols; ++c) {
    out[c] = LoadFloat(format, panel + (c * kPanelRows + row) * bytes);
  }
}

// Rows [row_begin, row_end) of one panel, out [row_end - row_begin, cols].
void UnpackBlockRows(PackedFormat format, const std::byte* panel,
                     int64_t row_begin, int64_t row_end, int64_t cols,
                     float* out) {
  const BlockFormat& block_format = GetBlockFormat(format);
  const PanelRegions regions = GetPanelRegions(format, cols);
  PanelBlock block;
  for (int64_t b = 0; b < cols / kQuantBlock; ++b) {
    DecodePanelBlock(block_format, regions, panel, b, &block);
    for (int64_t row = row_begin; row < row_end; ++row) {
      float* to = out + (row - row_begin) * cols + b * kQuantBlock;
      for (int c = 0; c < kQuantBlock; ++c) {
        to[c] = block.scale[c / 16][row] * block.value[row][c] -
                block.minimum[c / 16][row];
      }
    }
  }
}

}  // namespace

PanelRegions GetPanelRegions(PackedFormat format, int64_t cols) {
  if (!IsBlockFormat(format)) {
    const int64_t bytes = Align(cols * kPanelRows * FloatBytes(format));
    return {bytes, bytes, bytes};
  }
  const BlockFormat& block = GetBlockFormat(format);
  MLAD_DCHECK(cols % block.span == 0);
  const int64_t codes = cols / kQuantBlock * BlockCodeBytes(block);
  const int64_t floats = cols / block.span * FloatScaleBytes(block);
  if (block.group == 0) {
    const int64_t bytes = codes + Align(floats);
    return {codes, bytes, bytes};
  }
  const int64_t scales = GroupScaleBytes(block, cols / block.group);
  const int64_t supers = codes + Align(scales);
  return {codes, supers, supers + Align(floats)};
}

PackedFormat PackedFormatFor(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return PackedFormat::kF32;
    case TensorType::kF16:
      return PackedFormat::kF16;
    case TensorType::kBF16:
      return PackedFormat::kBF16;
    case TensorType::kQ8_0:
      return PackedFormat::kQ8;
    case TensorType::kQ4_0:
      return PackedFormat::kQ4;
    case TensorType::kIQ4_NL:
      return PackedFormat::kNL4;
    case TensorType::kQ4_K:
      return PackedFormat::kQ4K;
    case TensorType::kQ6_K:
      return PackedFormat::kQ6K;
    case TensorType::kQ4_1:
      return PackedFormat::kQ4M;
    case TensorType::kQ5_0:
      return PackedFormat::kQ5;
    case TensorType::kQ5_1:
      return PackedFormat::kQ5M;
    case TensorType::kQ5_K:
      return PackedFormat::kQ5K;
    case TensorType::kQ2_K:
      return PackedFormat::kQ2K;
    case TensorType::kQ3_K:
      return PackedFormat::kQ3K;
    case TensorType::kIQ4_XS:
      return PackedFormat::kNL4K;
    case TensorType::kMXFP4:
      return PackedFormat::kMx4;
    case TensorType::kIQ1_S:
      return PackedFormat::kIq1S;
    case TensorType::kIQ1_M:
      return PackedFormat::kIq1M;
    case TensorType::kIQ2_XXS:
      return PackedFormat::kIq2Xxs;
    case TensorType::kIQ2_XS:
      return PackedFormat::kIq2Xs;
    case TensorType::kIQ2_S:
      return PackedFormat::kIq2S;
    case TensorType::kIQ3_XXS:
      return PackedFormat::kIq3Xxs;
    case TensorType::kIQ3_S:
      return PackedFormat::kIq3S;
  }
  MLAD_CHECK(false && "unknown tensor type");
}

int64_t PanelBytes(PackedFormat format, int64_t cols) {
  return GetPanelRegions(format, cols).bytes;
}

void UnpackRows(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end,
                float* out) {
  const int64_t panel_bytes = PanelBytes(matrix.format, matrix.cols);
  for (int64_t row = row_begin; row < row_end;) {
    const int64_t panel_row = row / kPanelRows * kPanelRows;
    const int64_t stop = std::min(row_end, panel_row + kPanelRows);
    const std::byte* panel = matrix.data + row / kPanelRows * panel_bytes;
    float* to = out + (row - row_begin) * matrix.cols;
    if (IsBlockFormat(matrix.format)) {
      UnpackBlockRows(matrix.format, panel, row - panel_row, stop - panel_row,
                      matrix.cols, to);
    } else {
      for (int64_t r = row; r < stop; ++r, to += matrix.cols) {
        UnpackFloatRow(matrix.format, panel, static_cast<int>(r - panel_row),
                       matrix.cols, to);
      }
    }
    row = stop;
  }
}

}  // namespace mlad
