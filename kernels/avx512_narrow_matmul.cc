// All block formats with activations of 8 bits: codes are unpacked once for
// many tokens.
#include "kernels/avx512_quant_matmul.h"
#include "kernels/simd_unpacked_matmul.h"

namespace mlad::avx512 {

void MatMulNarrow(const MatMulArgs& args) noexcept {
  // Floats have no bits to spare.
  ForBlockFormat(args.w.format, [&]<PackedFormat kFormat>() {
    RunUnpackedMatMul<QuantMatMul<kFormat, true, true>>(args);
  });
}

}  // namespace mlad::avx512
