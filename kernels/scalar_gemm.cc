#include <algorithm>

#include "kernels/scalar_kernels.h"

namespace mlad::scalar {

void Gemm(const GemmArgs& args) noexcept {
  for (int64_t i = 0; i < args.m; ++i) {
    const float* a = args.a + i * args.lda;
    float* c = args.c + i * args.ldc;
    if (!args.accumulate) std::fill_n(c, args.n, 0.0f);
    for (int64_t k = 0; k < args.k; ++k) {
      const float* b = args.b + k * args.ldb;
      for (int64_t j = 0; j < args.n; ++j) c[j] += a[k] * b[j];
    }
  }
}

}  // namespace mlad::scalar
