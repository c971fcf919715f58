#include "quant/packed_matrix.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/quant/random_tensor.h"

#include "base/float16.h"
#include "quant/tensor_type.h"

namespace mlad {
namespace {

using ::mlad::testing::AlignedBytes;
using ::mlad::testing::AllTensorTypes;
using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::RandomTensor;

constexpr std::byte kCanary{0xA5};

int64_t ColsFor(TensorType type, int64_t cols) {
  const int64_t block = GetTensorType(type).block_elements;
  return (cols + block - 1) / block * block;
}

std::vector<float> Unpack(const PackedMatrix& matrix, int64_t begin,
                          int64_t end) {
  std::vector<float> out((end - begin) * matrix.cols);
  UnpackRows(matrix, begin, end, out.data());
  return out;
}

TEST(PackRows, UnpacksToTheValuesOfTheTensorAndZeroPadding) {
  for (TensorType type : AllTensorTypes()) {
    for (int64_t rows : {1, 15, 16, 17, 40}) {
      for (int64_t min_cols : {1, 96, 576}) {
        const int64_t cols = ColsFor(type, min_cols);
        SCOPED_TRACE(std::string(GetTensorType(type).name) + " " +
                     std::to_string(rows) + "x" + std::to_string(cols));
        Random random(rows * 1000 + cols);
        const auto source = RandomTensor(random, type, rows, cols);
        const PackedFormat format = PackedFormatFor(type);
        const int64_t bytes = PackedBytes(format, rows, cols);
        EXPECT_EQ(bytes % 64, 0);
        AlignedBytes packed(bytes + 64);
        std::memset(packed.data(), static_cast<int>(kCanary), bytes + 64);
        PackRows(type, source.data(), rows, cols, packed.data());
        for (int64_t i = 0; i < 64; ++i) {
          ASSERT_EQ(packed.data()[bytes + i], kCanary) << "wrote past the end";
        }
        std::vector<float> expected(rows * cols);
        DequantizeRow(type, source.data(), rows * cols, expected.data());
        const PackedMatrix matrix = {format, rows, cols, packed.data()};
        expected.resize(matrix.panels() * kPanelRows * cols, 0.0f);
        EXPECT_EQ(Unpack(matrix, 0, matrix.panels() * kPanelRows), expected);
      }
    }
  }
}

TEST(UnpackRows, AnyRangeOfRowsGivesTheSameValues) {
  for (TensorType type : AllTensorTypes()) {
    SCOPED_TRACE(std::string(GetTensorType(type).name));
    Random random(7);
    const int64_t cols = ColsFor(type, 64);
    const int64_t rows = 37;
    const auto source = RandomTensor(random, type, rows, cols);
    const PackedFormat format = PackedFormatFor(type);
    AlignedBytes packed(PackedBytes(format, rows, cols));
    PackRows(type, source.data(), rows, cols, packed.data());
    const PackedMatrix matrix = {format, rows, cols, packed.data()};
    const std::vector<float> all = Unpack(matrix, 0, rows);
    for (const auto& [begin, end] :
         {std::pair{0, 1}, {3, 18}, {15, 17}, {16, 32}, {36, 37}, {5, 5}}) {
      const std::vector<float> expected(all.begin() + begin * cols,
                                        all.begin() + end * cols);
      EXPECT_EQ(Unpack(matrix, begin, end), expected);
    }
  }
}

TEST(PackRows, PanelsArePackedIndependently) {
  Random random(11);
  const auto source = RandomTensor(random, TensorType::kQ8_0, 48, 64);
  const int64_t panel_bytes = PanelBytes(PackedFormat::kQ8, 64);
  AlignedBytes whole(3 * panel_bytes);
  PackRows(TensorType::kQ8_0, source.data(), 48, 64, whole.data());
  AlignedBytes last(panel_bytes);
  PackRows(TensorType::kQ8_0,
           source.data() + 32 * TensorRowBytes(TensorType::kQ8_0, 64), 16, 64,
           last.data());
  EXPECT_EQ(
      std::memcmp(whole.data() + 2 * panel_bytes, last.data(), panel_bytes), 0);
}

TEST(PanelBytes, AreThoseOfTheLayout) {
  EXPECT_EQ(PanelBytes(PackedFormat::kF32, 3), 3 * 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kF16, 3), 128);  // 96 padded
  EXPECT_EQ(PanelBytes(PackedFormat::kBF16, 4), 128);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ8, 32), 512 + 64);  // 32 padded
  EXPECT_EQ(PanelBytes(PackedFormat::kQ8, 64), 2 * 512 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ4, 96), 3 * 256 + 128);
  EXPECT_EQ(PanelBytes(PackedFormat::kNL4, 96), 3 * 256 + 128);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ4K, 256), 8 * 256 + 8 * 32 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ6K, 256), 8 * 512 + 16 * 16 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ4M, 32), 256 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ5, 64), 2 * 320 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ5M, 64), 2 * 320 + 128);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ5K, 256), 8 * 320 + 8 * 32 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ2K, 256), 8 * 128 + 16 * 16 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ3K, 512), 2 * (8 * 192 + 16 * 16 + 32));
  EXPECT_EQ(PanelBytes(PackedFormat::kNL4K, 256), 8 * 256 + 8 * 16 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kMx4, 64), 2 * 256 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kIq1S, 512), 16 * 88 + 128 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kIq1M, 512), 16 * 96 + 256 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kIq2Xxs, 512), 16 * 128 + 128 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kIq2Xs, 512), 16 * 136 + 256 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kIq2S, 512), 16 * 144 + 256 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kIq3Xxs, 512), 16 * 192 + 128 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kIq3S, 512), 16 * 208 + 128 + 64);
  EXPECT_EQ(PanelBytes(PackedFormat::kQ6K, 512), 2 * (8 * 512 + 16 * 16 + 32));
}

// Row r, column c of a Q8_0 tensor, spelt out.
TEST(PackRows, Q8LayoutToTheByte) {
  const int64_t cols = 64;
  std::vector<std::byte> source;
  const auto code = [](int r, int c) { return (r * 7 + c * 3) % 251 - 125; };
  for (int r = 0; r < 16; ++r) {
    for (int b = 0; b < 2; ++b) {
      const uint16_t scale = F32ToF16(static_cast<float>(2 * r + b));
      source.push_back(static_cast<std::byte>(scale & 255));
      source.push_back(static_cast<std::byte>(scale >> 8));
      for (int c = 0; c < 32; ++c) {
        source.push_back(static_cast<std::byte>(code(r, 32 * b + c)));
      }
    }
  }
  AlignedBytes packed(PanelBytes(PackedFormat::kQ8, cols));
  PackRows(TensorType::kQ8_0, source.data(), 16, cols, packed.data());
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < cols; ++c) {
      const int64_t at = c / 32 * 512 + c % 32 / 4 * 64 + r * 4 + c % 4;
      EXPECT_EQ(static_cast<int>(packed.data()[at]), code(r, c) + 128);
    }
    for (int b = 0; b < 2; ++b) {
      uint16_t scale;
      std::memcpy(&scale, packed.data() + 2 * 512 + b * 32 + r * 2, 2);
      EXPECT_EQ(F16ToF32(scale), static_cast<float>(2 * r + b));
    }
  }
}

// The file's Q4_0 blocks have the same nibble pairs as the panel.
TEST(PackRows, Q4LayoutToTheByte) {
  Random random(3);
  const auto source = RandomTensor(random, TensorType::kQ4_0, 16, 64);
  AlignedBytes packed(PanelBytes(PackedFormat::kQ4, 64));
  PackRows(TensorType::kQ4_0, source.data(), 16, 64, packed.data());
  for (int r = 0; r < 16; ++r) {
    for (int b = 0; b < 2; ++b) {
      const std::byte* block = source.data() + (r * 2 + b) * 18;
      for (int i = 0; i < 16; ++i) {
        EXPECT_EQ(packed.data()[b * 256 + i / 4 * 64 + r * 4 + i % 4],
                  block[2 + i]);
      }
      EXPECT_EQ(std::memcmp(packed.data() + 512 + b * 32 + r * 2, block, 2), 0);
    }
  }
}

TEST(PackFloatRows, RoundsAndTransposes) {
  Random random(5);
  const int64_t rows = 19;
  const int64_t cols = 21;
  const std::vector<float> source = RandomFloats(random, rows * cols);
  for (PackedFormat format :
       {PackedFormat::kF32, PackedFormat::kF16, PackedFormat::kBF16}) {
    AlignedBytes packed(PackedBytes(format, rows, cols));
    PackFloatRows(format, source.data(), rows, cols, packed.data());
    std::vector<float> expected = source;
    for (float& value : expected) {
      if (format == PackedFormat::kF16) value = F16ToF32(F32ToF16(value));
      if (format == PackedFormat::kBF16) value = BF16ToF32(F32ToBF16(value));
    }
    expected.resize(32 * cols, 0.0f);
    EXPECT_EQ(Unpack({format, rows, cols, packed.data()}, 0, 32), expected);
  }
}

}  // namespace
}  // namespace mlad
