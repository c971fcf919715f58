// Decoders against values that another program computed (record_golden.py),
// and against blocks worked out by hand.
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/quant/random_tensor.h"

#include "quant/tensor_type.h"

namespace mlad {
namespace {

using ::mlad::testing::AllTensorTypes;

std::vector<char> ReadGolden(const std::string& name) {
  std::ifstream file("tests/quant/golden/" + name + ".bin", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// "Q4_K" is q4_K.bin, as the recorder calls it.
std::string GoldenName(const TensorTypeInfo& info) {
  std::string name(info.name);
  const bool k_quant = name.ends_with("_K");
  for (char& c : name) c = static_cast<char>(std::tolower(c));
  if (k_quant) name.back() = 'K';
  return name;
}

TEST(Dequantize, EqualsRecordedValues) {
  int types = 0;
  for (TensorType type : AllTensorTypes()) {
    const TensorTypeInfo& info = GetTensorType(type);
    if (info.block_elements == 1) continue;
    SCOPED_TRACE(std::string(info.name));
    const std::vector<char> golden = ReadGolden(GoldenName(info));
    const size_t block_size = info.block_bytes + 4 * info.block_elements;
    const int64_t blocks = static_cast<int64_t>(golden.size() / block_size);
    ASSERT_GT(blocks, 0);
    ASSERT_EQ(golden.size() % block_size, 0u);
    std::vector<float> expected(blocks * info.block_elements);
    std::memcpy(expected.data(), golden.data() + blocks * info.block_bytes,
                expected.size() * sizeof(float));
    std::vector<float> out(expected.size());
    DequantizeRow(type, reinterpret_cast<const std::byte*>(golden.data()),
                  static_cast<int64_t>(out.size()), out.data());
    EXPECT_EQ(out, expected);
    ++types;
  }
  EXPECT_EQ(types, 20);
}

TEST(Dequantize, Q4_0ByHand) {
  // d = 0.5 (f16 0x3800); byte i = i | (15 - i) << 4.
  std::vector<std::byte> block = {std::byte{0x00}, std::byte{0x38}};
  for (int i = 0; i < 16; ++i) {
    block.push_back(static_cast<std::byte>(i | (15 - i) << 4));
  }
  float out[32];
  DequantizeRow(TensorType::kQ4_0, block.data(), 32, out);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(out[i], 0.5f * static_cast<float>(i - 8));
    EXPECT_EQ(out[16 + i], 0.5f * static_cast<float>(7 - i));
  }
}

TEST(Dequantize, Q8_0ByHand) {
  // d = -2 (f16 0xC000); codes -16..15.
  std::vector<std::byte> block = {std::byte{0x00}, std::byte{0xC0}};
  for (int i = -16; i < 16; ++i) block.push_back(static_cast<std::byte>(i));
  float out[32];
  DequantizeRow(TensorType::kQ8_0, block.data(), 32, out);
  for (int i = 0; i < 32; ++i) {
    EXPECT_EQ(out[i], -2.0f * static_cast<float>(i - 16));
  }
}

TEST(Dequantize, FloatTypesByHand) {
  const uint16_t half = 0x3E00;   // 1.5
  const uint16_t brain = 0xC040;  // -3
  float out = 0;
  DequantizeRow(TensorType::kF16, reinterpret_cast<const std::byte*>(&half), 1,
                &out);
  EXPECT_EQ(out, 1.5f);
  DequantizeRow(TensorType::kBF16, reinterpret_cast<const std::byte*>(&brain),
                1, &out);
  EXPECT_EQ(out, -3.0f);
}

}  // namespace
}  // namespace mlad
