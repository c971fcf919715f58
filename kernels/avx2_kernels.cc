// The AVX2 table.
#include "kernels/avx2_kernels.h"

#include "kernels/kernel_tables.h"
#include "kernels/simd_absorbed_tile.h"
#include "kernels/simd_elementwise.h"
#include "kernels/simd_float_matmul.h"
#include "kernels/simd_gemm.h"
#include "kernels/simd_latent.h"
#include "kernels/simd_quantize.h"
#include "kernels/vector_avx2.h"

namespace mlad {
namespace avx2 {
namespace {

void MatMul(const MatMulArgs& args) noexcept {
  switch (args.w.format) {
    case PackedFormat::kF32:
      return RunMatMul<FloatMatMul<Avx2, PackedFormat::kF32>>(args);
    case PackedFormat::kF16:
      return RunMatMul<FloatMatMul<Avx2, PackedFormat::kF16>>(args);
    case PackedFormat::kBF16:
      return RunMatMul<FloatMatMul<Avx2, PackedFormat::kBF16>>(args);
    default:
      return MatMulQuantized(args);
  }
}

}  // namespace
}  // namespace avx2

const KernelTable kAvx2Kernels = {
    .isa = Isa::kAvx2,
    .quantize_activations = QuantizeActivations<Avx2>,
    .matmul = avx2::MatMul,
    .gemm = Gemm<Avx2>,
    .rms_norm = RmsNorm<Avx2>,
    .silu_mul = SiluMul<Avx2>,
    .softmax_update = SoftmaxUpdate<Avx2>,
    .scale = Scale<Avx2>,
    .scaled_add = ScaledAdd<Avx2>,
    .encode_latent = EncodeLatent<Avx2>,
    .decode_latent = DecodeLatent<Avx2>,
    .absorbed_tile = AbsorbedTile<Avx2>,
    .coded_attention = nullptr,
    .peak_int8 = avx2::PeakInt8,
    .peak_f32 = avx2::PeakF32,
};

}  // namespace mlad
