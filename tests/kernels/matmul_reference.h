// What a matmul must give, in double, and how far f32 arithmetic may be off.
#pragma once

#include <cstdint>
#include <vector>

#include "quant/packed_matrix.h"

namespace mlad::testing {

class MatMulReference {
 public:
  /// x [tokens, w.cols] are the activations that the kernel reads, exactly: for
  /// the block formats scale * q.
  MatMulReference(const PackedMatrix& w, std::vector<double> x);

  struct Value {
    double dot = 0;
    double magnitude = 0;  // sum over c of (|scale * value| + |minimum|) |x|
  };
  Value At(int64_t token, int64_t row) const;

  /// Bound of |dot in f32 - dot|, in units of magnitude. Summing n numbers in
  /// f32 in any order is off by at most n * 2^-24 of the sum of their
  /// magnitudes. Float formats sum cols products, each rounded once unless
  /// fused. Block formats sum one integer dot per scale and one correction per
  /// minimum, and each takes at most 3 more roundings (integer to float, the
  /// product of scales, and with its corrections); 1% covers the higher orders.
  double relative_tolerance() const { return relative_tolerance_; }

 private:
  int64_t cols_;
  std::vector<double> x_;
  std::vector<float> weights_;
  std::vector<float> magnitudes_;
  double relative_tolerance_;
};

}  // namespace mlad::testing
