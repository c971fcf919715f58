#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "absl/types/span.h"
#include "tests/model/tiny_model.h"

#include "base/check.h"
#include "base/float16.h"
#include "quant/tensor_block.h"

namespace mlad {
namespace {

using Block = absl::Span<const float>;

float Peak(Block values) {
  float peak = 0;
  for (const float v : values) peak = std::max(peak, std::abs(v));
  return peak;
}

/// A byte made from the bits of a value.
uint8_t ByteOf(float value) {
  return static_cast<uint8_t>((std::bit_cast<uint32_t>(value) * 2654435761u) >>
                              24);
}

/// `count` bytes made from the values, which are used again if too few.
void AppendCodes(GgufBytes& out, Block values, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const uint8_t turn = static_cast<uint8_t>(i / values.size() * 37);
    out.U8(static_cast<uint8_t>(ByteOf(values[i % values.size()]) + turn));
  }
}

void AppendQ8_0(GgufBytes& out, Block values) {
  const uint16_t scale = F32ToF16(Peak(values) / 127);
  const float inverse = scale == 0 ? 0 : 1 / F16ToF32(scale);
  out.U16(scale);
  for (const float v : values) {
    const float code = std::clamp(std::nearbyint(v * inverse), -127.0f, 127.0f);
    out.U8(static_cast<uint8_t>(static_cast<int8_t>(code)));
  }
}

/// What d, and perhaps n, are for values of at most 1: the largest code then
/// gives about 1.
struct MadeUpBlock {
  TensorType type;
  float scale;
  float minimum = 0;
};
constexpr MadeUpBlock kMadeUpBlocks[] = {
    {TensorType::kQ4_0, 1.0f / 8},
    {TensorType::kQ4_1, 2.0f / 15, 1},
    {TensorType::kQ5_0, 1.0f / 16},
    {TensorType::kQ5_1, 2.0f / 31, 1},
    {TensorType::kQ2_K, 2.0f / (15 * 3), 1.0f / 15},
    {TensorType::kQ3_K, 1.0f / (32 * 4)},
    {TensorType::kQ4_K, 2.0f / (63 * 15), 1.0f / 63},
    {TensorType::kQ5_K, 2.0f / (63 * 31), 1.0f / 63},
    {TensorType::kQ6_K, 1.0f / (128 * 32)},
    {TensorType::kIQ4_NL, 1.0f / 127},
    {TensorType::kIQ4_XS, 1.0f / (32 * 127)},
    {TensorType::kIQ1_S, 1.0f / 15},
    {TensorType::kIQ1_M, 1.0f / 15},
    {TensorType::kIQ2_XXS, 8.0f / (31 * 43)},
    {TensorType::kIQ2_XS, 8.0f / (31 * 43)},
    {TensorType::kIQ2_S, 8.0f / (31 * 43)},
    {TensorType::kIQ3_XXS, 4.0f / (31 * 62)},
    {TensorType::kIQ3_S, 1.0f / (31 * 15)},
    {TensorType::kMXFP4, 1.0f / 12},
};

void AppendMadeUp(GgufBytes& out, TensorType type, Block values) {
  const MadeUpBlock* block = std::find_if(
      std::begin(kMadeUpBlocks), std::end(kMadeUpBlocks),
      [&](const MadeUpBlock& candidate) { return candidate.type == type; });
  MLAD_CHECK(block != std::end(kMadeUpBlocks));
  GgufBytes codes;
  AppendCodes(codes, values, GetTensorType(type).block_bytes);
  std::vector<std::byte> bytes = codes.bytes();
  const float peak = Peak(values);
  PutBlockScales(type, BlockScaleBits(type, peak * block->scale),
                 F32ToF16(peak * block->minimum), bytes.data());
  out.Append(bytes.data(), bytes.size());
}

void AppendBlock(GgufBytes& out, TensorType type, Block values) {
  switch (type) {
    case TensorType::kF32:
      out.F32(values[0]);
      return;
    case TensorType::kF16:
      out.U16(F32ToF16(values[0]));
      return;
    case TensorType::kBF16:
      out.U16(F32ToBF16(values[0]));
      return;
    case TensorType::kQ8_0:
      AppendQ8_0(out, values);
      return;
    default:
      AppendMadeUp(out, type, values);
  }
}

}  // namespace

std::vector<std::byte> EncodeTestTensor(TensorType type,
                                        const std::vector<float>& values) {
  const size_t block = GetTensorType(type).block_elements;
  MLAD_CHECK(values.size() % block == 0);
  GgufBytes out;
  for (size_t i = 0; i < values.size(); i += block) {
    AppendBlock(out, type, Block(values).subspan(i, block));
  }
  MLAD_CHECK(static_cast<int64_t>(out.size()) ==
             TensorRowBytes(type, static_cast<int64_t>(values.size())));
  return out.bytes();
}

}  // namespace mlad
