#include <cstring>

#include "base/check.h"
#include "base/float16.h"
#include "quant/block_format.h"
#include "quant/tensor_block.h"
#include "quant/tensor_type.h"

namespace mlad {
namespace {

void DequantizeBlock(const BlockFormat& format, const TensorBlock& block,
                     float* out) {
  const float d = FloatScale(format, block.d);
  const float n = format.has_minimum ? F16ToF32(block.n) : 0;
  for (int c = 0; c < format.span; ++c) {
    float scale = d;
    float minimum = n;
    if (format.group != 0) {
      const int group = c / format.group;
      const uint8_t bits = block.s[group];
      const int s = format.odd_s      ? 2 * bits + 1
                    : format.signed_s ? static_cast<int8_t>(bits)
                                      : bits;
      scale *= static_cast<float>(s);
      if (format.has_minimum) minimum *= static_cast<float>(block.m[group]);
    }
    const int value = format.levels != nullptr
                          ? format.levels[block.codes[c]]
                          : block.codes[c] - format.zero_code;
    out[c] = scale * static_cast<float>(value) - minimum;
  }
}

void DequantizeFloats(TensorType type, const std::byte* source,
                      int64_t elements, float* out) {
  if (type == TensorType::kF32) {
    std::memcpy(out, source, elements * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < elements; ++i) {
    uint16_t bits;
    std::memcpy(&bits, source + 2 * i, sizeof(bits));
    out[i] = type == TensorType::kF16 ? F16ToF32(bits) : BF16ToF32(bits);
  }
}

}  // namespace

void DequantizeRow(TensorType type, const std::byte* source, int64_t elements,
                   float* out) {
  const PackedFormat packed_format = PackedFormatFor(type);
  if (!IsBlockFormat(packed_format)) {
    DequantizeFloats(type, source, elements, out);
    return;
  }
  const BlockFormat& format = GetBlockFormat(packed_format);
  const TensorTypeInfo& info = GetTensorType(type);
  MLAD_DCHECK(elements % info.block_elements == 0);
  TensorBlock block;
  for (int64_t c = 0; c < elements; c += info.block_elements) {
    SplitTensorBlock(type, source, &block);
    DequantizeBlock(format, block, out + c);
    source += info.block_bytes;
  }
}

}  // namespace mlad
