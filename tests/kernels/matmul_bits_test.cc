// The bits of a matmul's result depend on its row and token only (DESIGN
// invariant I2), not on what else is computed with them.
#include <cstring>
#include <numeric>
#include <vector>

#include "tests/kernels/kernel_cases.h"
#include "tests/kernels/kernel_test.h"
#include "tests/kernels/tile_stand_in.h"

namespace mlad {
namespace {

using ::mlad::testing::AllTensorTypes;
using ::mlad::testing::CaseName;
using ::mlad::testing::kTestTokenCounts;
using ::mlad::testing::MatMulCase;
using ::mlad::testing::MatMulProblem;
using ::mlad::testing::PackedWeights;
using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::Seed;
using ::mlad::testing::TileStandInKernels;

constexpr float kCanary = -12345.678f;
constexpr int64_t kTokens = 70;        // more than a batch
constexpr int64_t kNarrowTokens = 37;  // of 8 bits, the first ones
constexpr int64_t kRows = 85;          // 6 panels, the last with 5 rows

bool SameBits(const float* a, const float* b, int64_t n) {
  return std::memcmp(a, b, n * sizeof(float)) == 0;
}

class MatMulBitsTest : public ::mlad::testing::KernelTest {
 protected:
  // Calls `check(problem, all, kernels)` for every type and table, `all`
  // [kTokens, kRows] computed in one call.
  template <typename Check>
  void ForEachProblem(const Check& check) {
    const uint64_t seed = Seed(1);
    for (TensorType type : AllTensorTypes()) {
      const MatMulCase c = {type, kRows, 768};
      SCOPED_TRACE(CaseName(c));
      Random random(seed);
      const PackedWeights weights(random, c);
      const std::vector<float> x = RandomFloats(random, kTokens * c.cols);
      FOR_EACH_TABLE(kernels, seed) {
        const MatMulProblem problem(*kernels, weights.matrix(), x,
                                    kNarrowTokens);
        std::vector<float> all(kTokens * kRows);
        kernels->matmul(problem.Args(all.data(), kRows));
        check(problem, all, *kernels);
      }
    }
  }
};

TEST_F(MatMulBitsTest, DoNotDependOnTheBatchSize) {
  ForEachProblem([](const MatMulProblem& problem, const std::vector<float>& all,
                    const KernelTable& kernels) {
    std::vector<int64_t> counts(std::begin(kTestTokenCounts),
                                std::end(kTestTokenCounts));
    for (int64_t n = 4; n <= 16; ++n) counts.push_back(n);
    for (int64_t tokens : counts) {
      std::vector<float> out(tokens * kRows);
      MatMulArgs args = problem.Args(out.data(), kRows);
      args.tokens = tokens;
      kernels.matmul(args);
      EXPECT_TRUE(SameBits(out.data(), all.data(), tokens * kRows))
          << tokens << " tokens";
    }
  });
}

TEST_F(MatMulBitsTest, DoNotDependOnTheNeighboursOrTheirOrder) {
  ForEachProblem([](const MatMulProblem& problem, const std::vector<float>& all,
                    const KernelTable& kernels) {
    Random random(3);
    for (int64_t tokens : kTestTokenCounts) {
      std::vector<int32_t> x_rows(tokens);
      for (int32_t& row : x_rows)
        row = static_cast<int32_t>(random() % kTokens);
      std::vector<int32_t> out_rows(tokens);
      std::iota(out_rows.rbegin(), out_rows.rend(), 0);
      std::vector<float> out(tokens * kRows);
      MatMulArgs args = problem.Args(out.data(), kRows);
      args.tokens = tokens;
      args.x_rows = x_rows.data();
      args.out_rows = out_rows.data();
      kernels.matmul(args);
      for (int64_t t = 0; t < tokens; ++t) {
        EXPECT_TRUE(
            SameBits(&out[out_rows[t] * kRows], &all[x_rows[t] * kRows], kRows))
            << tokens << " tokens, token " << t;
      }
    }
  });
}

TEST_F(MatMulBitsTest, DoNotDependOnTheRangeOfPanels) {
  ForEachProblem([](const MatMulProblem& problem, const std::vector<float>& all,
                    const KernelTable& kernels) {
    for (int64_t tokens : {1, 3, 17}) {
      for (int64_t begin = 0; begin < 6; ++begin) {
        for (int64_t end = begin; end <= 6; ++end) {
          std::vector<float> out(tokens * kRows, kCanary);
          MatMulArgs args = problem.Args(out.data(), kRows);
          args.tokens = tokens;
          args.panel_begin = begin;
          args.panel_end = end;
          kernels.matmul(args);
          std::vector<float> expected(tokens * kRows, kCanary);
          for (int64_t t = 0; t < tokens; ++t) {
            for (int64_t r = begin * 16; r < std::min(end * 16, kRows); ++r) {
              expected[t * kRows + r] = all[t * kRows + r];
            }
          }
          ASSERT_TRUE(SameBits(out.data(), expected.data(), tokens * kRows))
              << tokens << " tokens, panels " << begin << " to " << end;
        }
      }
    }
  });
}

TEST(TileMatMulTest, HasTheBitsOfTheVnniKernel) {
  const auto tiles = TileStandInKernels();
  if (!tiles.has_value()) GTEST_SKIP() << "ISA avx512: not on this CPU";
  const KernelTable& vnni = **FindKernels(Isa::kAvx512);
  Random random(Seed(5));
  for (TensorType type : AllTensorTypes()) {
    // Columns: spans of 256, and a rest where the format allows one.
    for (const int64_t cols : {768, 320}) {
      if (cols % GetTensorType(type).block_elements != 0) continue;
      const MatMulCase c = {type, kRows, cols};
      SCOPED_TRACE(CaseName(c));
      const PackedWeights weights(random, c);
      if (ReadsFloatActivations(weights.matrix().format)) continue;
      const std::vector<float> x = RandomFloats(random, kTokens * cols);
      const MatMulProblem problem(vnni, weights.matrix(), x, kNarrowTokens);
      std::vector<int32_t> x_rows(kTokens);
      for (int32_t& row : x_rows) {
        row = static_cast<int32_t>(random() % kTokens);
      }
      for (const int64_t tokens : kTestTokenCounts) {
        std::vector<float> expected(tokens * kRows, kCanary);
        std::vector<float> out = expected;
        MatMulArgs args = problem.Args(expected.data(), kRows);
        args.tokens = tokens;
        if (tokens % 2 == 1) args.x_rows = x_rows.data();
        args.panel_begin = tokens % 3;
        vnni.matmul(args);
        args.out = out.data();
        tiles->matmul(args);
        EXPECT_TRUE(SameBits(out.data(), expected.data(), tokens * kRows))
            << tokens << " tokens";
      }
    }
  }
}

}  // namespace
}  // namespace mlad
