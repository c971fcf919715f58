#include "base/float16.h"

#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace mlad {
namespace {

// The value of a binary16 from its definition.
double HalfValue(uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int mantissa = bits & 1023;
  const double magnitude = exponent == 0
                               ? std::ldexp(mantissa, -24)
                               : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

bool IsFiniteHalf(uint16_t bits) { return (bits & 0x7C00) != 0x7C00; }

TEST(Float16, EveryFiniteHalfHasItsValueAndConvertsBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (!IsFiniteHalf(half)) continue;
    const float value = F16ToF32(half);
    ASSERT_EQ(value, HalfValue(half)) << std::hex << bits;
    ASSERT_EQ(std::signbit(value), (half & 0x8000) != 0) << std::hex << bits;
    ASSERT_EQ(F32ToF16(value), half) << std::hex << bits;
  }
}

TEST(Float16, RoundsToNearestEvenBetweenAllNeighbours) {
  for (uint32_t bits = 0; bits + 1 < 0x7C00; ++bits) {
    const auto low = static_cast<uint16_t>(bits);
    const auto high = static_cast<uint16_t>(bits + 1);
    // The middle of two neighbours is exact in f32.
    const auto middle =
        static_cast<float>((HalfValue(low) + HalfValue(high)) / 2);
    const float infinity = std::numeric_limits<float>::infinity();
    ASSERT_EQ(F32ToF16(middle), bits % 2 == 0 ? low : high);
    ASSERT_EQ(F32ToF16(std::nextafter(middle, 0.0f)), low);
    ASSERT_EQ(F32ToF16(std::nextafter(middle, infinity)), high);
    ASSERT_EQ(F32ToF16(-middle), (bits % 2 == 0 ? low : high) | 0x8000);
  }
}

TEST(Float16, OverflowAndSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(F32ToF16(65519.996f), 0x7BFF);
  EXPECT_EQ(F32ToF16(65520.0f), 0x7C00);  // ties to even: infinity
  EXPECT_EQ(F32ToF16(infinity), 0x7C00);
  EXPECT_EQ(F32ToF16(-infinity), 0xFC00);
  EXPECT_EQ(F16ToF32(0x7C00), infinity);
  EXPECT_EQ(F16ToF32(0xFC00), -infinity);
  EXPECT_TRUE(std::isnan(F16ToF32(0x7C01)));
  EXPECT_TRUE(
      std::isnan(F16ToF32(F32ToF16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_TRUE(
      std::isnan(F16ToF32(F32ToF16(std::bit_cast<float>(0x7F800001u)))));
}

TEST(BFloat16, EveryValueConvertsBackAndRoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7F80; ++bits) {
    const auto low = static_cast<uint16_t>(bits);
    const float value = BF16ToF32(low);
    ASSERT_EQ(std::bit_cast<uint32_t>(value), bits << 16);
    ASSERT_EQ(F32ToBF16(value), low);
    const auto even = static_cast<uint16_t>(bits + (bits & 1));
    ASSERT_EQ(F32ToBF16(std::bit_cast<float>(bits << 16 | 0x8000u)), even);
    ASSERT_EQ(F32ToBF16(std::bit_cast<float>(bits << 16 | 0x7FFFu)), low);
    ASSERT_EQ(F32ToBF16(std::bit_cast<float>(bits << 16 | 0x8001u)), bits + 1);
  }
}

TEST(BFloat16, NanStaysNan) {
  EXPECT_TRUE(
      std::isnan(BF16ToF32(F32ToBF16(std::bit_cast<float>(0x7F800001u)))));
  EXPECT_TRUE(
      std::isnan(BF16ToF32(F32ToBF16(std::bit_cast<float>(0xFFFFFFFFu)))));
}

}  // namespace
}  // namespace mlad
