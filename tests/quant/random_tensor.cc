#include "tests/quant/random_tensor.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/float16.h"
#include "quant/tensor_block.h"

namespace mlad::testing {
const std::vector<TensorType>& AllTensorTypes() {
  static const std::vector<TensorType> types = [] {
    std::vector<TensorType> found;
    for (uint32_t id = 0; id < 64; ++id) {
      if (auto info = FindTensorType(id); info.ok()) {
        found.push_back(info->type);
      }
    }
    return found;
  }();
  return types;
}

std::vector<float> RandomFloats(Random& random, int64_t count,
                                float deviation) {
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<std::byte> RandomTensor(Random& random, TensorType type,
                                    int64_t rows, int64_t cols,
                                    float deviation) {
  const TensorTypeInfo& info = GetTensorType(type);
  std::vector<std::byte> bytes(rows * TensorRowBytes(type, cols));
  std::normal_distribution<float> normal(0.0f, deviation);
  if (info.block_elements == 1) {
    for (size_t at = 0; at < bytes.size(); at += info.block_bytes) {
      const float value = normal(random);
      const uint16_t half =
          type == TensorType::kF16 ? F32ToF16(value) : F32ToBF16(value);
      const void* from = &half;
      if (type == TensorType::kF32) from = &value;
      std::memcpy(&bytes[at], from, info.block_bytes);
    }
    return bytes;
  }
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  for (size_t at = 0; at < bytes.size(); at += info.block_bytes) {
    const float d = normal(random);
    const float n = normal(random);
    PutBlockScales(
        type,
        BlockScaleBits(type, type == TensorType::kMXFP4 ? std::fabs(d) : d),
        F32ToF16(n), &bytes[at]);
  }
  return bytes;
}

void CopyScales(TensorType type, const std::vector<std::byte>& from,
                std::vector<std::byte>& to) {
  const int block_bytes = GetTensorType(type).block_bytes;
  for (size_t at = 0; at < from.size(); at += block_bytes) {
    TensorBlock block;
    SplitTensorBlock(type, &from[at], &block);
    PutBlockScales(type, block.d, block.n, &to[at]);
  }
}

}  // namespace mlad::testing
