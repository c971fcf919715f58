#include "quant/block_format.h"

#include <cstring>

#include "base/check.h"
#include "base/float16.h"
#include "quant/code_planes.h"

namespace mlad {
namespace {

constexpr BlockFormat kQ8Format = {.low_bits = 8, .zero_code = 128};
constexpr BlockFormat kQ4Format = {.low_bits = 4, .zero_code = 8};
constexpr BlockFormat kNL4Format = {.low_bits = 4, .levels = kNonLinearLevels};
constexpr BlockFormat kQ4KFormat = {
    .low_bits = 4, .span = 256, .group = 32, .has_minimum = true};
constexpr BlockFormat kQ6KFormat = {
    .low_bits = 8, .zero_code = 32, .span = 256, .group = 16, .signed_s = true};
constexpr BlockFormat kQ4MFormat = {.low_bits = 4, .has_minimum = true};
constexpr BlockFormat kQ5Format = {
    .low_bits = 4, .high_bits = 1, .zero_code = 16};
constexpr BlockFormat kQ5MFormat = {
    .low_bits = 4, .high_bits = 1, .has_minimum = true};
constexpr BlockFormat kQ5KFormat = {.low_bits = 4,
                                    .high_bits = 1,
                                    .span = 256,
                                    .group = 32,
                                    .has_minimum = true};
constexpr BlockFormat kQ2KFormat = {.low_bits = 2,
                                    .span = 256,
                                    .group = 16,
                                    .has_minimum = true,
                                    .nibble_pair = true};
constexpr BlockFormat kQ3KFormat = {.low_bits = 2,
                                    .high_bits = 1,
                                    .zero_code = 4,
                                    .span = 256,
                                    .group = 16,
                                    .signed_s = true};
constexpr BlockFormat kNL4KFormat = {.low_bits = 4,
                                     .levels = kNonLinearLevels,
                                     .span = 256,
                                     .group = 32,
                                     .signed_s = true};

float LoadF16(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return F16ToF32(bits);
}

void DecodeValues(const BlockFormat& format, const std::byte* codes,
                  PanelBlock* out) {
  uint8_t row_codes[kQuantBlock];
  for (int row = 0; row < kPanelRows; ++row) {
    GetRowCodes(format, codes, row, row_codes);
    for (int c = 0; c < kQuantBlock; ++c) {
      out->value[row][c] = static_cast<int16_t>(
          format.levels != nullptr ? format.levels[row_codes[c]]
                                   : row_codes[c] - format.zero_code);
    }
  }
}

// The s and m of one row and group.
struct GroupScale {
  int s = 1;
  int m = 1;
};

GroupScale LoadGroupScale(const BlockFormat& format, const std::byte* scales,
                          int row) {
  const auto s = static_cast<uint8_t>(scales[row]);
  if (format.nibble_pair) return {s & 15, s >> 4};
  const int scale = format.signed_s ? static_cast<int8_t>(s) : s;
  if (!format.has_minimum) return {scale, 0};
  return {scale, static_cast<uint8_t>(scales[kPanelRows + row])};
}

// Where a format has minima, each 16 scales are followed by their 16.
void DecodeScales(const BlockFormat& format, const PanelRegions& regions,
                  const std::byte* panel, int64_t block, PanelBlock* out) {
  const int64_t column = block * kQuantBlock;
  const std::byte* floats =
      panel + (format.group == 0 ? regions.scales : regions.supers) +
      column / format.span * FloatScaleBytes(format);
  for (int half = 0; half < 2; ++half) {
    for (int row = 0; row < kPanelRows; ++row) {
      GroupScale group;
      if (format.group != 0) {
        const int64_t index = (column + 16 * half) / format.group;
        group = LoadGroupScale(
            format, panel + regions.scales + index * GroupScaleBytes(format),
            row);
      }
      out->scale[half][row] =
          LoadF16(floats + 2 * row) * static_cast<float>(group.s);
      out->minimum[half][row] = format.has_minimum
                                    ? LoadF16(floats + 2 * (kPanelRows + row)) *
                                          static_cast<float>(group.m)
                                    : 0.0f;
    }
  }
}

}  // namespace

bool IsBlockFormat(PackedFormat format) {
  return format != PackedFormat::kF32 && format != PackedFormat::kF16 &&
         format != PackedFormat::kBF16;
}

const BlockFormat& GetBlockFormat(PackedFormat format) {
  switch (format) {
    case PackedFormat::kQ8:
      return kQ8Format;
    case PackedFormat::kQ4:
      return kQ4Format;
    case PackedFormat::kNL4:
      return kNL4Format;
    case PackedFormat::kQ4K:
      return kQ4KFormat;
    case PackedFormat::kQ6K:
      return kQ6KFormat;
    case PackedFormat::kQ4M:
      return kQ4MFormat;
    case PackedFormat::kQ5:
      return kQ5Format;
    case PackedFormat::kQ5M:
      return kQ5MFormat;
    case PackedFormat::kQ5K:
      return kQ5KFormat;
    case PackedFormat::kQ2K:
      return kQ2KFormat;
    case PackedFormat::kQ3K:
      return kQ3KFormat;
    case PackedFormat::kNL4K:
      return kNL4KFormat;
    case PackedFormat::kF32:
    case PackedFormat::kF16:
    case PackedFormat::kBF16:
      break;
  }
  MLAD_CHECK(false && "not a block format");
}

int64_t BlockCodeBytes(const BlockFormat& format) {
  return kPanelRows * kQuantBlock * (format.low_bits + format.high_bits) / 8;
}

int64_t GroupScaleBytes(const BlockFormat& format) {
  const bool two_bytes = format.has_minimum && !format.nibble_pair;
  return kPanelRows * (two_bytes ? 2 : 1);
}

int64_t FloatScaleBytes(const BlockFormat& format) {
  return kPanelRows * 2 * (format.has_minimum ? 2 : 1);
}

void DecodePanelBlock(const BlockFormat& format, const PanelRegions& regions,
                      const std::byte* panel, int64_t block, PanelBlock* out) {
  DecodeValues(format, panel + block * BlockCodeBytes(format), out);
  DecodeScales(format, regions, panel, block, out);
}

}  // namespace mlad
