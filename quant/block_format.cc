#include "quant/block_format.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/float16.h"
#include "quant/code_planes.h"

namespace mlad {
namespace {

float LoadF16(const std::byte* at) {
  uint16_t bits;
  std::memcpy(&bits, at, sizeof(bits));
  return F16ToF32(bits);
}

// The s of one row and group, with what is on top of it.
int LoadNibble(const std::byte* scales, int64_t group, int row) {
  return static_cast<int>(scales[group / 2 * kPanelRows + row]) >>
             (group % 2 * 4) &
         15;
}

void DecodeValues(const BlockFormat& format, const PanelRegions& regions,
                  const std::byte* panel, int64_t block, PanelBlock* out) {
  uint8_t codes[kQuantBlock];
  for (int row = 0; row < kPanelRows; ++row) {
    GetRowCodes(format, panel + block * BlockCodeBytes(format), row, codes);
    if (format.top_bit == TopBit::kEach32) {
      const int s = LoadNibble(panel + regions.scales, block, row);
      for (uint8_t& code : codes) code |= static_cast<uint8_t>(s & 8);
    }
    for (int c = 0; c < kQuantBlock; ++c) {
      out->value[row][c] = static_cast<int16_t>(
          format.levels != nullptr ? format.levels[codes[c]]
                                   : codes[c] - format.zero_code);
    }
  }
}

// The s and m of one row and group.
struct GroupScale {
  int s = 1;
  int m = 1;
};

// `scales` are those of the panel.
GroupScale LoadGroupScale(const BlockFormat& format, const std::byte* scales,
                          int64_t group, int row) {
  if (format.odd_s) {
    const int mask = format.top_bit == TopBit::kEach32 ? 7 : 15;
    return {2 * (LoadNibble(scales, group, row) & mask) + 1, 0};
  }
  scales += GroupScaleBytes(format, group);
  const auto s = static_cast<uint8_t>(scales[row]);
  if (format.nibble_pair) return {s & 15, s >> 4};
  const int scale = format.signed_s ? static_cast<int8_t>(s) : s;
  if (!format.has_minimum) return {scale, 0};
  return {scale, static_cast<uint8_t>(scales[kPanelRows + row])};
}

// d of one row as it is stored.
uint16_t LoadFloatScale(const BlockFormat& format, const std::byte* floats,
                        int row) {
  if (format.exponent_d) return static_cast<uint8_t>(floats[row]);
  uint16_t bits;
  std::memcpy(&bits, floats + 2 * row, sizeof(bits));
  return bits;
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
        group = LoadGroupScale(format, panel + regions.scales,
                               (column + 16 * half) / format.group, row);
      }
      out->scale[half][row] =
          FloatScale(format, LoadFloatScale(format, floats, row)) *
          static_cast<float>(group.s);
      out->minimum[half][row] = format.has_minimum
                                    ? LoadF16(floats + 2 * (kPanelRows + row)) *
                                          static_cast<float>(group.m)
                                    : 0.0f;
    }
  }
}

}  // namespace

const BlockFormat& GetBlockFormat(PackedFormat format) {
  switch (format) {
    case PackedFormat::kQ8:
      return kBlockFormat<PackedFormat::kQ8>;
    case PackedFormat::kQ4:
      return kBlockFormat<PackedFormat::kQ4>;
    case PackedFormat::kNL4:
      return kBlockFormat<PackedFormat::kNL4>;
    case PackedFormat::kQ4K:
      return kBlockFormat<PackedFormat::kQ4K>;
    case PackedFormat::kQ6K:
      return kBlockFormat<PackedFormat::kQ6K>;
    case PackedFormat::kQ4M:
      return kBlockFormat<PackedFormat::kQ4M>;
    case PackedFormat::kQ5:
      return kBlockFormat<PackedFormat::kQ5>;
    case PackedFormat::kQ5M:
      return kBlockFormat<PackedFormat::kQ5M>;
    case PackedFormat::kQ5K:
      return kBlockFormat<PackedFormat::kQ5K>;
    case PackedFormat::kQ2K:
      return kBlockFormat<PackedFormat::kQ2K>;
    case PackedFormat::kQ3K:
      return kBlockFormat<PackedFormat::kQ3K>;
    case PackedFormat::kNL4K:
      return kBlockFormat<PackedFormat::kNL4K>;
    case PackedFormat::kMx4:
      return kBlockFormat<PackedFormat::kMx4>;
    case PackedFormat::kIq1S:
      return kBlockFormat<PackedFormat::kIq1S>;
    case PackedFormat::kIq1M:
      return kBlockFormat<PackedFormat::kIq1M>;
    case PackedFormat::kIq2Xxs:
      return kBlockFormat<PackedFormat::kIq2Xxs>;
    case PackedFormat::kIq2Xs:
      return kBlockFormat<PackedFormat::kIq2Xs>;
    case PackedFormat::kIq2S:
      return kBlockFormat<PackedFormat::kIq2S>;
    case PackedFormat::kIq3Xxs:
      return kBlockFormat<PackedFormat::kIq3Xxs>;
    case PackedFormat::kIq3S:
      return kBlockFormat<PackedFormat::kIq3S>;
    case PackedFormat::kF32:
    case PackedFormat::kF16:
    case PackedFormat::kBF16:
      break;
  }
  MLAD_CHECK(false && "not a block format");
}

float FloatScale(const BlockFormat& format, uint16_t bits) {
  if (!format.exponent_d) return F16ToF32(bits) * format.unit;
  return std::ldexp(1.0f, static_cast<int>(bits) - 128);
}

void DecodePanelBlock(const BlockFormat& format, const PanelRegions& regions,
                      const std::byte* panel, int64_t block, PanelBlock* out) {
  DecodeValues(format, regions, panel, block, out);
  DecodeScales(format, regions, panel, block, out);
}

}  // namespace mlad
