#include "attention/rope.h"

#include <cmath>
#include <complex>
#include <vector>

#include <gtest/gtest.h>

namespace mlad {
namespace {

// Expected numbers come from a Python program (doubles) that follows the
// definition of the published models: find_correction_range, linear ramp,
// inverse frequencies. Both sides round a handful of operations: 1e-14.
constexpr double kRelative = 1e-14;

RopeConfig V3() {
  RopeConfig config;
  config.dim = 64;
  config.factor = 40;
  config.original_context = 4096;
  config.log_multiplier = 0.1;
  return config;
}

RopeConfig KimiK2() {
  RopeConfig config;
  config.dim = 64;
  config.theta = 50000;
  config.factor = 32;
  config.original_context = 4096;
  config.beta_fast = 1;
  config.beta_slow = 1;
  config.log_multiplier = 0.1;
  return config;
}

void ExpectRadians(const RopeConfig& config,
                   const std::vector<std::pair<int, double>>& expected) {
  const RopeFrequencies rope(config);
  ASSERT_EQ(rope.dim(), config.dim);
  for (const auto& [pair, radians] : expected) {
    EXPECT_NEAR(rope.radians()[pair], radians, radians * kRelative)
        << "pair " << pair;
  }
}

TEST(Rope, PlainFrequenciesAreAGeometricSeries) {
  RopeConfig config;
  config.dim = 64;
  ExpectRadians(config, {{0, 1.0}, {16, 0.01}, {24, 0.001}});
}

TEST(Rope, YarnOfV3) {
  ExpectRadians(V3(), {{0, 1.0},
                       {5, 0.23713737056616555},
                       {10, 0.056234132519034905},
                       {11, 0.03900692656714386},
                       {15, 0.008334508951020777},
                       {20, 0.0007905694150420945},
                       {23, 3.33380358040831e-05},
                       {24, 2.5e-05},
                       {31, 3.33380358040831e-06}});
}

TEST(Rope, YarnOfKimiK2HasARampOfOnePair) {
  ExpectRadians(KimiK2(), {{0, 1.0},
                           {15, 0.00627130337702138},
                           {20, 3.6140467735726306e-05},
                           {23, 1.3105854165465447e-05},
                           {31, 8.764412911589875e-07}});
}

TEST(Rope, YarnRampIsClampedToTheFirstPair) {
  RopeConfig config;
  config.dim = 16;
  config.factor = 4;
  config.original_context = 64;
  ExpectRadians(config, {{0, 1.0},
                         {1, 0.23717082451262847},
                         {2, 0.05},
                         {3, 0.007905694150420948},
                         {7, 7.905694150420948e-05}});
}

TEST(Rope, RotationsFarBeyondTheTrainedContext) {
  const RopeFrequencies rope(V3());
  std::vector<float> rotations(64);
  rope.Rotate(160000, rotations.data());
  // Doubles of angles up to 160000 (error 160000 * 2^-52), rounded to float.
  constexpr double kBound = 0x1p-24 + 160000 * 0x1p-51;
  EXPECT_NEAR(rotations[0], 0.2541309027843793, kBound);
  EXPECT_NEAR(rotations[1], -0.9671698321649598, kBound);
  EXPECT_NEAR(rotations[24], -0.9898320743961502, kBound);
  EXPECT_NEAR(rotations[25], 0.1422408678847755, kBound);
  EXPECT_NEAR(rotations[62], 0.8610789144215039, kBound);
  EXPECT_NEAR(rotations[63], 0.5084713395449978, kBound);
}

TEST(Rope, PositionZeroChangesNothing) {
  const RopeFrequencies rope(V3());
  std::vector<float> rotations(64), x(64);
  rope.Rotate(0, rotations.data());
  for (int i = 0; i < 64; ++i) x[i] = 0.25f * static_cast<float>(i - 30);
  const std::vector<float> before = x;
  ApplyRope(rotations.data(), 64, x.data());
  EXPECT_EQ(x, before);
}

TEST(Rope, RotatesNeighboursAsComplexNumbers) {
  const RopeFrequencies rope(V3());
  std::vector<float> rotations(64), x(64);
  rope.Rotate(1234, rotations.data());
  for (int i = 0; i < 64; ++i) x[i] = static_cast<float>(std::sin(i * 1.7));
  const std::vector<float> before = x;
  ApplyRope(rotations.data(), 64, x.data());
  for (int j = 0; j < 32; ++j) {
    const std::complex<double> turned =
        std::complex<double>(before[2 * j], before[2 * j + 1]) *
        std::polar(1.0, 1234 * rope.radians()[j]);
    // Rotation rounded to float, two products and a sum of numbers below 1.
    EXPECT_NEAR(x[2 * j], turned.real(), 5 * 0x1p-24);
    EXPECT_NEAR(x[2 * j + 1], turned.imag(), 5 * 0x1p-24);
  }
}

// The reason for rotating: scores depend on the distance only.
TEST(Rope, ScoresDependOnDistance) {
  const RopeFrequencies rope(V3());
  std::vector<float> q(64), k(64);
  for (int i = 0; i < 64; ++i) {
    q[i] = static_cast<float>(std::sin(i * 0.9));
    k[i] = static_cast<float>(std::cos(i * 1.3));
  }
  const auto score = [&](int64_t q_position, int64_t k_position) {
    std::vector<float> a = q, b = k, rotations(64);
    rope.Rotate(q_position, rotations.data());
    ApplyRope(rotations.data(), 64, a.data());
    rope.Rotate(k_position, rotations.data());
    ApplyRope(rotations.data(), 64, b.data());
    double sum = 0;
    for (int i = 0; i < 64; ++i) sum += static_cast<double>(a[i]) * b[i];
    return sum;
  };
  // 64 products of numbers below 1.42, each off by 10 * 2^-24.
  EXPECT_NEAR(score(100, 90), score(70010, 70000), 64 * 2 * 20 * 0x1p-24);
  EXPECT_GT(std::abs(score(100, 90) - score(100, 91)), 0.01);
}

TEST(Rope, SoftmaxScaleHasMscaleSquared) {
  EXPECT_NEAR(SoftmaxScale(V3(), 192), 0.1352337788608801, 1e-15);
  RopeConfig lite = V3();
  lite.log_multiplier = 0.0707;
  EXPECT_NEAR(SoftmaxScale(lite, 192), 0.11472138679292612, 1e-15);
  lite.factor = 1;
  EXPECT_NEAR(SoftmaxScale(lite, 192), 0.07216878364870323, 1e-15);
}

}  // namespace
}  // namespace mlad
