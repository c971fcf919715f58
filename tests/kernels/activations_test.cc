#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/kernels/kernel_cases.h"
#include "tests/kernels/kernel_test.h"

namespace mlad {
namespace {

using ::mlad::testing::QuantizedRows;
using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::Seed;

class ActivationsTest : public ::mlad::testing::KernelTest {
 protected:
  // Blocks of many magnitudes; one of zeros, one with ties, one whose peak
  // appears with both signs.
  static std::vector<float> Inputs(uint64_t seed) {
    Random random(seed);
    std::vector<float> x;
    for (float deviation : {1.0f, 1e-6f, 3e4f, 1e-37f, 1e-30f, 1e30f, 0.0f}) {
      for (float value : RandomFloats(random, 4 * kQuantBlock, 1.0f)) {
        x.push_back(value * deviation);
      }
    }
    for (int i = 0; i < kQuantBlock; ++i) {
      x.push_back(static_cast<float>(i - 16) + 0.5f);
    }
    x[x.size() - kQuantBlock] = static_cast<float>(kActivationPeak);
    for (int i = 0; i < kQuantBlock; ++i) {
      x.push_back(i % 2 == 0 ? 3.14159f : -3.14159f);
    }
    for (int i = 0; i < kQuantBlock; ++i) {
      x.push_back(std::numeric_limits<float>::max());
    }
    return x;
  }
};

TEST_F(ActivationsTest, CodesOfEightBitsAreTheHighOnes) {
  const uint64_t seed = Seed(2);
  const std::vector<float> x = Inputs(seed);
  const auto cols = static_cast<int64_t>(x.size());
  FOR_EACH_TABLE(kernels, seed) {
    const QuantizedRows rows(*kernels, x, cols, 1);
    EXPECT_EQ(rows.view().bits[0], ActivationBits::k8);
    for (int64_t b = 0; b < rows.blocks(); ++b) {
      const float* block = x.data() + b * kQuantBlock;
      const int64_t first = b / kNarrowBlocks * kNarrowBlocks * kQuantBlock;
      const int64_t end = std::min(first + kNarrowBlocks * kQuantBlock, cols);
      float peak = 0;
      for (int64_t i = first; i < end; ++i) {
        peak = std::max(peak, std::fabs(x[i]));
      }
      const bool empty = peak < kSmallestActivation;
      ASSERT_EQ(rows.view().scales[b], empty ? 0.0f : peak / 127.0f / 256) << b;
      int32_t sums[2] = {0, 0};
      for (int i = 0; i < kQuantBlock; ++i) {
        const ActivationBlock& codes = rows.view().blocks[b];
        const float product = empty ? 0 : block[i] * (127.0f / peak);
        ASSERT_EQ(codes.high[i], std::nearbyint(product))
            << "block " << b << " element " << i;
        ASSERT_EQ(codes.low[i], 0);
        sums[i / 16] += 256 * codes.high[i];
      }
      ASSERT_EQ(rows.view().sums[b].half[0], sums[0]) << b;
      ASSERT_EQ(rows.view().sums[b].half[1], sums[1]) << b;
    }
  }
}

TEST_F(ActivationsTest, EveryTableMakesTheSameBytesAsTheDefinition) {
  const uint64_t seed = Seed(1);
  const std::vector<float> x = Inputs(seed);
  const auto cols = static_cast<int64_t>(x.size());
  FOR_EACH_TABLE(kernels, seed) {
    const QuantizedRows rows(*kernels, x, cols);
    for (int64_t b = 0; b < rows.blocks(); ++b) {
      const float* block = x.data() + b * kQuantBlock;
      float peak = 0;
      for (int i = 0; i < kQuantBlock; ++i) {
        peak = std::max(peak, std::fabs(block[i]));
      }
      const bool empty = peak < kSmallestActivation;
      const auto limit = static_cast<float>(kActivationPeak);
      const float inverse = empty ? 0.0f : limit / peak;
      ASSERT_EQ(rows.view().scales[b], empty ? 0.0f : peak / limit) << b;
      int32_t sums[2] = {0, 0};
      for (int i = 0; i < kQuantBlock; ++i) {
        const ActivationBlock& codes = rows.view().blocks[b];
        const int q = 256 * codes.high[i] + codes.low[i];
        const float product = block[i] * inverse;
        ASSERT_EQ(q, static_cast<int>(std::nearbyint(product)))
            << "block " << b << " element " << i;
        sums[i / 16] += q;
      }
      ASSERT_EQ(rows.view().sums[b].half[0], sums[0]) << b;
      ASSERT_EQ(rows.view().sums[b].half[1], sums[1]) << b;
    }
  }
}

// q is within half a step of x / scale, plus what two rounded f32 operations
// add: 2^-23 of at most 32639 steps, below 0.004.
TEST_F(ActivationsTest, ErrorIsHalfAStep) {
  const uint64_t seed = Seed(2);
  const std::vector<float> x = Inputs(seed);
  FOR_EACH_TABLE(kernels, seed) {
    const QuantizedRows rows(*kernels, x, static_cast<int64_t>(x.size()));
    const std::vector<double> values = rows.Values();
    for (size_t i = 0; i < x.size(); ++i) {
      const double scale = rows.view().scales[i / kQuantBlock];
      if (scale == 0) continue;
      ASSERT_LE(std::fabs(values[i] - x[i]), 0.504 * scale) << i;
    }
  }
}

TEST_F(ActivationsTest, BlocksThatAreNotFiniteHaveANanScaleAndNoCodes) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  FOR_EACH_TABLE(kernels, 0) {
    for (float bad : {kInfinity, -kInfinity, kNan, -kNan}) {
      for (int at : {0, 7, 8, 15, 16, 31}) {
        std::vector<float> x(2 * kQuantBlock, 2.0f);
        x[at] = bad;
        const QuantizedRows rows(*kernels, x, 2 * kQuantBlock);
        EXPECT_TRUE(std::isnan(rows.view().scales[0]));
        EXPECT_EQ(rows.view().sums[0].half[0], 0);
        EXPECT_EQ(rows.view().sums[0].half[1], 0);
        const ActivationBlock zero = {};
        EXPECT_EQ(std::memcmp(&rows.view().blocks[0], &zero, sizeof(zero)), 0);
        EXPECT_EQ(rows.view().scales[1], 2.0f / 32639.0f);
        EXPECT_EQ(rows.view().sums[1].half[0], 16 * kActivationPeak);
      }
    }
  }
}

}  // namespace
}  // namespace mlad
