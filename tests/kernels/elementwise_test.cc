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

constexpr float kCanary = -12345.678f;
constexpr double kEpsilon = 0x1p-24;
constexpr int64_t kLengths[] = {1, 2, 7, 8, 15, 16, 17, 31, 33, 64, 512, 1537};

class ElementwiseTest : public ::mlad::testing::KernelTest {};

// The mean of n squares in any order is off by n + 2 roundings (all terms are
// positive) and its root by half of that; then the root, the reciprocal or
// division and two products round once each, or are good to 2 units.
TEST_F(ElementwiseTest, RmsNorm) {
  for (int64_t n : kLengths) {
    for (float magnitude : {1.0f, 1e-3f, 1e4f}) {
      const uint64_t seed = Seed(n);
      Random random(seed);
      const auto x = RandomFloats(random, n, magnitude);
      const auto weight = RandomFloats(random, n);
      double squares = 0;
      for (float value : x) squares += double{value} * value;
      const double factor = 1 / std::sqrt(squares / double(n) + 1e-6);
      const double tolerance = kEpsilon * (0.5 * double(n + 2) + 8);
      FOR_EACH_TABLE(kernels, seed) {
        std::vector<float> out(n + 16, kCanary);
        kernels->rms_norm(x.data(), weight.data(), n, 1e-6f, out.data());
        for (int64_t i = 0; i < n; ++i) {
          const double expected = x[i] * factor * weight[i];
          ASSERT_NEAR(out[i], expected, tolerance * std::fabs(expected)) << i;
        }
        for (int64_t i = n; i < n + 16; ++i) ASSERT_EQ(out[i], kCanary);
      }
    }
  }
}

TEST_F(ElementwiseTest, RmsNormOfZerosIsZeroAndMayWorkInPlace) {
  FOR_EACH_TABLE(kernels, 0) {
    std::vector<float> x(48, 0.0f);
    const std::vector<float> weight(48, 2.0f);
    kernels->rms_norm(x.data(), weight.data(), 48, 1e-6f, x.data());
    EXPECT_EQ(x, std::vector<float>(48, 0.0f));
    for (float& value : x) value = 3.0f;
    kernels->rms_norm(x.data(), weight.data(), 48, 0.0f, x.data());
    for (float value : x) EXPECT_NEAR(value, 2.0f, 2e-6f);
  }
}

// exp is good to 2 units (of 2^-23), the sum, the quotient and the product
// round once each; so 4 + 3 half units, and near zero 1 unit of the smallest
// normal number.
TEST_F(ElementwiseTest, SiluMul) {
  for (int64_t n : kLengths) {
    const uint64_t seed = Seed(50 + n);
    Random random(seed);
    auto gate = RandomFloats(random, n, 10.0f);
    const auto up = RandomFloats(random, n);
    FOR_EACH_TABLE(kernels, seed) {
      std::vector<float> out(n + 16, kCanary);
      kernels->silu_mul(gate.data(), up.data(), n, out.data());
      for (int64_t i = 0; i < n; ++i) {
        const double expected =
            gate[i] / (1 + std::exp(-double{gate[i]})) * up[i];
        ASSERT_NEAR(out[i], expected,
                    8 * kEpsilon * std::fabs(expected) + 1.2e-38)
            << gate[i];
      }
      for (int64_t i = n; i < n + 16; ++i) ASSERT_EQ(out[i], kCanary);
      std::vector<float> in_place = gate;
      kernels->silu_mul(in_place.data(), up.data(), n, in_place.data());
      out.resize(n);
      EXPECT_EQ(in_place, out);
    }
  }
}

// Far from zero the gate is the identity or nothing. exp(-gate) may overflow to
// infinity from 88.7 on, or be held at its largest argument: then the quotient
// is at most 100 / exp(87).
TEST_F(ElementwiseTest, SiluMulAtTheEnds) {
  const std::vector<float> gate = {0.0f, -0.0f, 100.0f, 3e38f, -100.0f, -1e30f};
  const std::vector<float> up(gate.size(), 1.0f);
  FOR_EACH_TABLE(kernels, 0) {
    std::vector<float> out(gate.size());
    kernels->silu_mul(gate.data(), up.data(), 4, out.data());
    EXPECT_EQ(out[0], 0.0f);
    EXPECT_EQ(out[1], 0.0f);
    EXPECT_EQ(out[2], 100.0f);
    EXPECT_EQ(out[3], 3e38f);
    kernels->silu_mul(gate.data() + 4, up.data(), 1, out.data());
    EXPECT_NEAR(out[0], 0.0f, 100 * std::exp(-87.0));
  }
}

TEST_F(ElementwiseTest, Scale) {
  for (int64_t n : kLengths) {
    const uint64_t seed = Seed(90 + n);
    Random random(seed);
    const auto x = RandomFloats(random, n);
    FOR_EACH_TABLE(kernels, seed) {
      std::vector<float> out = x;
      out.resize(n + 16, kCanary);
      kernels->scale(out.data(), n, 0.3f);
      for (int64_t i = 0; i < n; ++i) ASSERT_EQ(out[i], x[i] * 0.3f);
      for (int64_t i = n; i < n + 16; ++i) ASSERT_EQ(out[i], kCanary);
    }
  }
}

// The same bits from every table: experts are summed by it or by a matmul's
// epilogue, depending on where they live.
TEST_F(ElementwiseTest, ScaledAddIsOneFusedOperation) {
  for (int64_t n : kLengths) {
    const uint64_t seed = Seed(130 + n);
    Random random(seed);
    const auto x = RandomFloats(random, n);
    const auto before = RandomFloats(random, n);
    FOR_EACH_TABLE(kernels, seed) {
      std::vector<float> out = before;
      out.resize(n + 16, kCanary);
      kernels->scaled_add(x.data(), n, 0.3f, out.data());
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_EQ(out[i], std::fma(0.3f, x[i], before[i])) << i;
      }
      for (int64_t i = n; i < n + 16; ++i) ASSERT_EQ(out[i], kCanary);
    }
  }
}

}  // namespace
}  // namespace mlad
