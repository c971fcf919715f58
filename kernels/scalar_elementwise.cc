#include <cmath>

#include "kernels/scalar_kernels.h"

namespace mlad::scalar {

void RmsNorm(const float* x, const float* weight, int64_t n, float epsilon,
             float* out) noexcept {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const auto factor = static_cast<float>(
      1.0 / std::sqrt(squares / static_cast<double>(n) + epsilon));
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * factor * weight[i];
}

void SiluMul(const float* gate, const float* up, int64_t n,
             float* out) noexcept {
  for (int64_t i = 0; i < n; ++i) {
    out[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
  }
}

void Scale(float* out, int64_t n, float factor) noexcept {
  for (int64_t i = 0; i < n; ++i) out[i] *= factor;
}

void ScaledAdd(const float* x, int64_t n, float factor, float* out) noexcept {
  for (int64_t i = 0; i < n; ++i) out[i] = std::fma(factor, x[i], out[i]);
}

}  // namespace mlad::scalar
