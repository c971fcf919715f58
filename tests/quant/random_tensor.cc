#include "tests/quant/random_tensor.h"

#include <cstring>

#include "base/check.h"
#include "base/float16.h"

namespace mlad::testing {
namespace {

// Where the f16 fields of a block start.
std::vector<int> ScaleOffsets(TensorType type) {
  switch (type) {
    case TensorType::kQ4_1:
    case TensorType::kQ5_1:
    case TensorType::kQ4_K:
    case TensorType::kQ5_K:
      return {0, 2};
    case TensorType::kQ2_K:
      return {80, 82};
    case TensorType::kQ3_K:
      return {108};
    case TensorType::kQ6_K:
      return {208};
    default:
      return {0};
  }
}

}  // namespace

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
    for (int offset : ScaleOffsets(type)) {
      const uint16_t scale = F32ToF16(normal(random));
      std::memcpy(&bytes[at + offset], &scale, 2);
    }
  }
  return bytes;
}

void CopyScales(TensorType type, const std::vector<std::byte>& from,
                std::vector<std::byte>& to) {
  const int block_bytes = GetTensorType(type).block_bytes;
  for (size_t at = 0; at < from.size(); at += block_bytes) {
    for (int offset : ScaleOffsets(type)) {
      std::memcpy(&to[at + offset], &from[at + offset], 2);
    }
  }
}

}  // namespace mlad::testing
