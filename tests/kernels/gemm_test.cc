#include <cmath>
#include <cstring>
#include <vector>

#include "tests/kernels/kernel_test.h"
#include "tests/quant/random_tensor.h"

namespace mlad {
namespace {

using ::mlad::testing::Random;
using ::mlad::testing::RandomFloats;
using ::mlad::testing::Seed;

constexpr float kCanary = -12345.678f;

struct GemmCase {
  int64_t m, n, k;
};

constexpr GemmCase kCases[] = {
    {1, 1, 1},    {1, 16, 7},    {3, 5, 2},    {4, 17, 64}, {5, 64, 192},
    {16, 33, 31}, {33, 128, 64}, {64, 64, 96}, {2, 1, 300}, {7, 31, 0},
};

// Rows with gaps between them, the gaps filled with `gap`.
std::vector<float> Strided(const std::vector<float>& values, int64_t rows,
                           int64_t cols, int64_t stride, float gap) {
  std::vector<float> out(rows * stride, gap);
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(values.data() + r * cols, cols, out.data() + r * stride);
  }
  return out;
}

struct Operands {
  GemmCase shape;
  int64_t lda, ldb, ldc;
  std::vector<float> a, b, c;

  Operands(Random& random, const GemmCase& s)
      : shape(s), lda(s.k + 3), ldb(s.n + 5), ldc(s.n + 2) {
    a = Strided(RandomFloats(random, s.m * s.k), s.m, s.k, lda, NAN);
    b = Strided(RandomFloats(random, s.k * s.n), s.k, s.n, ldb, NAN);
    c = Strided(RandomFloats(random, s.m * s.n), s.m, s.n, ldc, kCanary);
  }

  GemmArgs Args(float* out, bool accumulate) const {
    return {shape.m,  shape.n, shape.k, a.data(), lda,
            b.data(), ldb,     out,     ldc,      accumulate};
  }
};

class GemmTest : public ::mlad::testing::KernelTest {};

// A sum of k products in f32, in any order, is off by at most k + 1 roundings
// of the sum of magnitudes; the old c is one more term.
TEST_F(GemmTest, IsWithinRoundingAndLeavesTheGapsAlone) {
  uint64_t n = 0;
  for (const GemmCase& shape : kCases) {
    const uint64_t seed = Seed(++n);
    Random random(seed);
    const Operands x(random, shape);
    for (bool accumulate : {false, true}) {
      FOR_EACH_TABLE(kernels, seed) {
        std::vector<float> out = x.c;
        kernels->gemm(x.Args(out.data(), accumulate));
        for (int64_t i = 0; i < shape.m; ++i) {
          for (int64_t j = 0; j < x.ldc; ++j) {
            const int64_t at = i * x.ldc + j;
            if (j >= shape.n) {
              ASSERT_EQ(out[at], kCanary);
              continue;
            }
            double sum = accumulate ? x.c[at] : 0;
            double magnitude = std::fabs(sum);
            for (int64_t k = 0; k < shape.k; ++k) {
              const double product =
                  double{x.a[i * x.lda + k]} * x.b[k * x.ldb + j];
              sum += product;
              magnitude += std::fabs(product);
            }
            const double steps = static_cast<double>(shape.k + 2);
            ASSERT_NEAR(out[at], sum, 1.01 * steps * 0x1p-24 * magnitude)
                << shape.m << "x" << shape.n << "x" << shape.k << " at " << i
                << "," << j << (accumulate ? " accumulating" : "");
          }
        }
      }
    }
  }
}

// Each element depends on its row of a and column of b only: any part of c
// computed alone has the same bits.
TEST_F(GemmTest, BitsDoNotDependOnTheShape) {
  const uint64_t seed = Seed(100);
  Random random(seed);
  const Operands x(random, {37, 83, 129});
  FOR_EACH_TABLE(kernels, seed) {
    for (bool accumulate : {false, true}) {
      std::vector<float> all = x.c;
      kernels->gemm(x.Args(all.data(), accumulate));
      for (int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 16, 37}) {
        for (int64_t cols : {1, 7, 8, 15, 16, 17, 32, 33, 64, 65, 83}) {
          const int64_t row = 37 - rows;
          const int64_t col = 83 - cols;
          std::vector<float> part = x.c;
          GemmArgs args = x.Args(&part[row * x.ldc + col], accumulate);
          args.m = rows;
          args.n = cols;
          args.a += row * x.lda;
          args.b += col;
          kernels->gemm(args);
          for (int64_t i = row; i < 37; ++i) {
            ASSERT_EQ(std::memcmp(&part[i * x.ldc + col], &all[i * x.ldc + col],
                                  cols * sizeof(float)),
                      0)
                << rows << " rows, " << cols << " columns";
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace mlad
