// Matmuls of every format against sums in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/kernel_cases.h"
#include "tests/kernels/kernel_test.h"
#include "tests/kernels/matmul_reference.h"

namespace mlad {
namespace {

using ::mlad::testing::AllTensorTypes;
using ::mlad::testing::CaseName;
using ::mlad::testing::kTestTokenCounts;
using ::mlad::testing::MatMulCase;
using ::mlad::testing::MatMulProblem;
using ::mlad::testing::MatMulReference;
using ::mlad::testing::MatMulTestCases;
using ::mlad::testing::PackedWeights;
using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::RandomTensor;
using ::mlad::testing::Seed;

constexpr float kCanary = -12345.678f;
constexpr double kEpsilon = 0x1p-24;

class MatMulTest : public ::mlad::testing::KernelTest {
 protected:
  // Multiplies with every table and compares [tokens, rows]; every number of
  // `out` that is not a result must stay as it was.
  void CheckAgainstDouble(const PackedMatrix& w, const std::vector<float>& x,
                          uint64_t seed) {
    const int64_t tokens = static_cast<int64_t>(x.size()) / w.cols;
    const int64_t stride = w.rows + 19;
    FOR_EACH_TABLE(kernels, seed) {
      const MatMulProblem problem(*kernels, w, x);
      const MatMulReference reference(w, problem.Values());
      std::vector<float> out(tokens * stride, kCanary);
      kernels->matmul(problem.Args(out.data(), stride));
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t r = 0; r < w.rows; ++r) {
          const auto expected = reference.At(t, r);
          ASSERT_NEAR(out[t * stride + r], expected.dot,
                      expected.magnitude * reference.relative_tolerance())
              << "token " << t << " row " << r;
        }
        for (int64_t r = w.rows; r < stride; ++r) {
          ASSERT_EQ(out[t * stride + r], kCanary) << "wrote past the rows";
        }
      }
    }
  }
};

TEST_F(MatMulTest, EveryFormatAndShapeIsWithinRounding) {
  uint64_t n = 0;
  for (const MatMulCase& c : MatMulTestCases()) {
    SCOPED_TRACE(CaseName(c));
    const uint64_t seed = Seed(++n);
    Random random(seed);
    const PackedWeights weights(random, c);
    // Every token count with every format, one count per shape.
    const int64_t tokens = kTestTokenCounts[n % std::size(kTestTokenCounts)];
    CheckAgainstDouble(weights.matrix(), RandomFloats(random, tokens * c.cols),
                       seed);
  }
}

TEST_F(MatMulTest, EveryFormatAndTokenCountIsWithinRounding) {
  uint64_t n = 1000;
  for (TensorType type : AllTensorTypes()) {
    for (int64_t tokens : kTestTokenCounts) {
      const MatMulCase c = {type, 33, 512};
      SCOPED_TRACE(CaseName(c) + ", " + std::to_string(tokens) + " tokens");
      const uint64_t seed = Seed(++n);
      Random random(seed);
      const PackedWeights weights(random, c);
      CheckAgainstDouble(weights.matrix(),
                         RandomFloats(random, tokens * c.cols), seed);
    }
  }
}

// The largest integer dots: all codes at an end of their range, activations
// that are all at the peak with equal or alternating signs.
TEST_F(MatMulTest, ExtremeCodesAndActivations) {
  for (TensorType type : AllTensorTypes()) {
    const TensorTypeInfo& info = GetTensorType(type);
    if (info.block_elements == 1) continue;
    for (int fill : {0x00, 0x7F, 0x80, 0xFF}) {
      const MatMulCase c = {type, 16, 512};
      SCOPED_TRACE(CaseName(c) + " filled with " + std::to_string(fill));
      Random random(1);
      auto source = RandomTensor(random, type, c.rows, c.cols);
      const auto scales = source;
      std::fill(source.begin(), source.end(), static_cast<std::byte>(fill));
      ::mlad::testing::CopyScales(type, scales, source);
      const PackedWeights weights(c, source);
      std::vector<float> x;
      for (int token = 0; token < 4; ++token) {
        for (int64_t i = 0; i < c.cols; ++i) {
          const bool negative = token % 2 == 1 || (token == 2 && i % 2 == 1);
          x.push_back(negative ? -3.0f : 3.0f);
        }
      }
      CheckAgainstDouble(weights.matrix(), x, 1);
    }
  }
}

TEST_F(MatMulTest, ActivationsOfAllMagnitudes) {
  const uint64_t seed = Seed(5);
  for (TensorType type : AllTensorTypes()) {
    for (float magnitude : {0.0f, 1e-35f, 1e-20f, 1e25f}) {
      const MatMulCase c = {type, 20, 256};
      SCOPED_TRACE(CaseName(c) + " times " + std::to_string(magnitude));
      Random random(seed);
      const PackedWeights weights(random, c);
      CheckAgainstDouble(weights.matrix(),
                         RandomFloats(random, 3 * c.cols, magnitude), seed);
    }
  }
}

TEST_F(MatMulTest, InfiniteActivationGivesNanAndOnlyInItsToken) {
  for (TensorType type : AllTensorTypes()) {
    const MatMulCase c = {type, 16, 256};
    SCOPED_TRACE(CaseName(c));
    Random random(6);
    const PackedWeights weights(random, c);
    std::vector<float> x = RandomFloats(random, 3 * c.cols);
    x[c.cols + 100] = std::numeric_limits<float>::quiet_NaN();
    FOR_EACH_TABLE(kernels, 6) {
      const MatMulProblem problem(*kernels, weights.matrix(), x);
      std::vector<float> out(3 * c.rows, kCanary);
      kernels->matmul(problem.Args(out.data(), c.rows));
      for (int64_t r = 0; r < c.rows; ++r) {
        EXPECT_TRUE(std::isfinite(out[r]));
        EXPECT_TRUE(std::isnan(out[c.rows + r]));
        EXPECT_TRUE(std::isfinite(out[2 * c.rows + r]));
      }
    }
  }
}

// The results are those of kStore, combined: one more rounding of the result
// for kAdd and kScaledAdd (an fma).
TEST_F(MatMulTest, EpiloguesCombineWithTheOldOutput) {
  for (TensorType type : AllTensorTypes()) {
    const MatMulCase c = {type, 21, 256};
    SCOPED_TRACE(CaseName(c));
    const uint64_t seed = Seed(7);
    Random random(seed);
    const PackedWeights weights(random, c);
    const int64_t tokens = 5;
    const std::vector<float> x = RandomFloats(random, tokens * c.cols);
    const std::vector<float> old = RandomFloats(random, tokens * c.rows);
    const std::vector<float> scale = RandomFloats(random, tokens);
    FOR_EACH_TABLE(kernels, seed) {
      const MatMulProblem problem(*kernels, weights.matrix(), x);
      std::vector<float> dots(old.size());
      kernels->matmul(problem.Args(dots.data(), c.rows));
      std::vector<float> added = old;
      MatMulArgs args = problem.Args(added.data(), c.rows);
      args.epilogue = Epilogue::kAdd;
      kernels->matmul(args);
      std::vector<float> scaled = old;
      args = problem.Args(scaled.data(), c.rows);
      args.epilogue = Epilogue::kScaledAdd;
      args.scale = scale.data();
      kernels->matmul(args);
      for (size_t i = 0; i < old.size(); ++i) {
        ASSERT_EQ(added[i], old[i] + dots[i]);
        ASSERT_EQ(scaled[i], std::fma(scale[i / c.rows], dots[i], old[i]));
      }
    }
  }
}

}  // namespace
}  // namespace mlad
