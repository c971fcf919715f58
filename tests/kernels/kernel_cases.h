// The matrices that the kernels are tested and timed with: one list for every
// test and for bench/kernel_bench.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/quant/random_tensor.h"

#include "kernels/kernels.h"

namespace mlad::testing {

struct MatMulCase {
  TensorType type;
  int64_t rows;
  int64_t cols;
};

/// "Q4_K 17x512"
std::string CaseName(const MatMulCase& c);

/// Every tensor type with shapes that have and have not tails in rows.
std::vector<MatMulCase> MatMulTestCases();

/// Every tensor type with shapes of published models.
std::vector<MatMulCase> MatMulBenchCases();

inline constexpr int64_t kTestTokenCounts[] = {1, 2, 3, 5, 16, 33, 64, 70};
inline constexpr int64_t kBenchTokenCounts[] = {1, 4, 6, 8, 12, 16, 64, 512};

/// Activations [tokens, cols] and their quantised form: of 8 bits in the first
/// narrow_rows rows, of 16 in the others.
class QuantizedRows {
 public:
  QuantizedRows(const KernelTable& kernels, const std::vector<float>& x,
                int64_t cols, int64_t narrow_rows = 0);
  QuantizedActivations view() const { return view_; }
  int64_t blocks() const { return static_cast<int64_t>(scales_.size()); }
  /// scale * q of every element, exact in double.
  std::vector<double> Values() const;

 private:
  AlignedBytes blocks_;
  std::vector<float> scales_;
  std::vector<ActivationSums> sums_;
  std::vector<ActivationBits> bits_;
  QuantizedActivations view_;
};

/// A packed random matrix.
class PackedWeights {
 public:
  PackedWeights(Random& random, const MatMulCase& c);
  /// The same from rows as a file stores them.
  PackedWeights(const MatMulCase& c, const std::vector<std::byte>& source);
  const PackedMatrix& matrix() const { return matrix_; }

 private:
  AlignedBytes packed_;
  PackedMatrix matrix_;
};

/// Weights and activations, ready to be multiplied.
class MatMulProblem {
 public:
  MatMulProblem(const KernelTable& kernels, const PackedMatrix& w,
                const std::vector<float>& x, int64_t narrow_rows = 0);

  /// All panels and tokens, stored to out [tokens, out_stride].
  MatMulArgs Args(float* out, int64_t out_stride) const;

  /// The numbers the kernel multiplies with, [tokens, cols].
  std::vector<double> Values() const;

 private:
  PackedMatrix w_;
  const std::vector<float>& x_;
  std::optional<QuantizedRows> quantized_;
};

}  // namespace mlad::testing
