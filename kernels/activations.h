// Activations as matmuls read them: f32 for float weights, quantised for the
// rest; a buffer has both forms and fills the ones that are needed.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace mlad {

/// Rows [tokens, cols], contiguous, cols % kQuantBlock == 0.
struct Activations {
  int64_t cols = 0;
  float* f32 = nullptr;
  QuantizedActivations q;

  float* Row(int64_t token) const { return f32 + token * cols; }
  QuantizedActivations QuantizedRow(int64_t token) const {
    const int64_t block = token * (cols / kQuantBlock);
    return {q.blocks + block, q.scales + block, q.sums + block, q.bits + token};
  }
  /// The same storage seen as rows of another, not greater, length.
  Activations WithCols(int64_t other_cols) const {
    return {other_cols, f32, q};
  }
  /// Quantises row `token` of f32 values `x` [cols].
  void Quantize(const KernelTable& kernels, int64_t token, const float* x,
                ActivationBits bits = ActivationBits::k16) const {
    kernels.quantize_activations(x, cols, bits, QuantizedRow(token));
  }
};

}  // namespace mlad
