#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/kernel_test.h"
#include "tests/quant/random_tensor.h"

namespace mlad {
namespace {

using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::Seed;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kCanary = -12345.678f;

class SoftmaxTest : public ::mlad::testing::KernelTest {};

// The argument s - peak is rounded once, which moves exp by |s - peak| half
// units; exp itself is good to 2 units and at most 1 unit of the smallest
// normal number.
double ExpTolerance(double argument) {
  return std::exp(argument) * 0x1p-24 * (std::fabs(argument) + 4) + 1.2e-38;
}

TEST_F(SoftmaxTest, UpdatesInPiecesGiveTheSoftmaxOfTheWhole) {
  for (int64_t n : {1, 2, 8, 15, 16, 17, 33, 64, 100}) {
    const uint64_t seed = Seed(n);
    Random random(seed);
    const std::vector<float> scores = RandomFloats(random, 3 * n, 8.0f);
    FOR_EACH_TABLE(kernels, seed) {
      float peak = -kInfinity;
      float sum = 0;
      float seen_peak = -kInfinity;
      double seen_sum = 0;
      double tolerance = 0;
      for (int64_t part = 0; part < 3; ++part) {
        std::vector<float> tile(&scores[part * n], &scores[part * n] + n);
        tile.resize(n + 16, kCanary);
        const float old_peak = seen_peak;
        for (int64_t i = 0; i < n; ++i) {
          seen_peak = std::max(seen_peak, tile[i]);
        }
        const float factor =
            kernels->softmax_update(tile.data(), n, &peak, &sum);
        ASSERT_EQ(peak, seen_peak);
        const double expected_factor = std::exp(double{old_peak} - seen_peak);
        ASSERT_NEAR(factor, expected_factor,
                    part == 0 ? 0 : ExpTolerance(old_peak - seen_peak));
        seen_sum *= expected_factor;
        tolerance =
            tolerance * expected_factor + seen_sum * ExpTolerance(0) +
            (part == 0 ? 0
                       : seen_sum * 0x1p-24 * std::fabs(old_peak - seen_peak));
        for (int64_t i = 0; i < n; ++i) {
          const double argument = double{scores[part * n + i]} - seen_peak;
          ASSERT_NEAR(tile[i], std::exp(argument), ExpTolerance(argument));
          seen_sum += std::exp(argument);
          tolerance += ExpTolerance(argument);
        }
        for (int64_t i = n; i < n + 16; ++i) ASSERT_EQ(tile[i], kCanary);
        // The additions themselves: n + 1 of positive numbers.
        tolerance += 0x1p-24 * static_cast<double>(n + 1) * seen_sum;
        ASSERT_NEAR(sum, seen_sum, tolerance);
      }
    }
  }
}

TEST_F(SoftmaxTest, NothingSeenAndNothingToSeeChangesNothing) {
  FOR_EACH_TABLE(kernels, 0) {
    for (int64_t n : {0, 1, 7, 16, 40}) {
      std::vector<float> scores(n, -kInfinity);
      float peak = -kInfinity;
      float sum = 0;
      kernels->softmax_update(scores.data(), n, &peak, &sum);
      EXPECT_EQ(peak, -kInfinity);
      EXPECT_EQ(sum, 0.0f);
      EXPECT_EQ(scores, std::vector<float>(n, 0.0f));
    }
  }
}

TEST_F(SoftmaxTest, ExcludedPositionsAfterOthersAddNothing) {
  FOR_EACH_TABLE(kernels, 0) {
    for (int64_t n : {1, 7, 16, 40}) {
      std::vector<float> scores(n, -kInfinity);
      float peak = 2.5f;
      float sum = 3.25f;
      EXPECT_EQ(kernels->softmax_update(scores.data(), n, &peak, &sum), 1.0f);
      EXPECT_EQ(peak, 2.5f);
      EXPECT_EQ(sum, 3.25f);
      EXPECT_EQ(scores, std::vector<float>(n, 0.0f));
    }
  }
}

TEST_F(SoftmaxTest, ExcludedPositionsAmongOthersAreZero) {
  FOR_EACH_TABLE(kernels, 0) {
    for (int64_t n : {2, 9, 16, 41}) {
      for (int64_t at = 0; at < n; ++at) {
        std::vector<float> scores(n, -kInfinity);
        scores[at] = -7.0f;
        float peak = -kInfinity;
        float sum = 0;
        EXPECT_EQ(kernels->softmax_update(scores.data(), n, &peak, &sum), 0.0f);
        EXPECT_EQ(peak, -7.0f);
        EXPECT_EQ(sum, 1.0f);
        for (int64_t i = 0; i < n; ++i) {
          EXPECT_EQ(scores[i], i == at ? 1.0f : 0.0f);
        }
      }
    }
  }
}

TEST_F(SoftmaxTest, ScoresFarBelowThePeakVanish) {
  FOR_EACH_TABLE(kernels, 0) {
    std::vector<float> scores = {3e38f, -3e38f, 0.0f, 1e30f};
    float peak = -3e38f;
    float sum = 1;
    const float factor = kernels->softmax_update(scores.data(), 4, &peak, &sum);
    EXPECT_LT(factor, 1e-37f);
    EXPECT_EQ(peak, 3e38f);
    EXPECT_EQ(sum, 1.0f);
    EXPECT_EQ(scores[0], 1.0f);
    for (int i = 1; i < 4; ++i) EXPECT_LT(scores[i], 1e-37f);
  }
}

}  // namespace
}  // namespace mlad
