// The AVX-512 table.
#include "kernels/avx512_kernels.h"

#include "kernels/kernel_tables.h"
#include "kernels/simd_absorbed_tile.h"
#include "kernels/simd_elementwise.h"
#include "kernels/simd_float_matmul.h"
#include "kernels/simd_gemm.h"
#include "kernels/simd_latent.h"
#include "kernels/simd_quantize.h"
#include "kernels/vector_avx512.h"

namespace mlad {
namespace avx512 {
namespace {

void MatMul(const MatMulArgs& args) noexcept {
  switch (args.w.format) {
    case PackedFormat::kF32:
      return RunMatMul<FloatMatMul<Avx512, PackedFormat::kF32>>(args);
    case PackedFormat::kF16:
      return RunMatMul<FloatMatMul<Avx512, PackedFormat::kF16>>(args);
    case PackedFormat::kBF16:
      return RunMatMul<FloatMatMul<Avx512, PackedFormat::kBF16>>(args);
    default:
      return MatMulQuantized(args);
  }
}

}  // namespace
}  // namespace avx512

const KernelTable kAvx512Kernels = {
    .isa = Isa::kAvx512,
    .quantize_activations = QuantizeActivations<Avx512>,
    .matmul = avx512::MatMul,
    .gemm = Gemm<Avx512>,
    .rms_norm = RmsNorm<Avx512>,
    .silu_mul = SiluMul<Avx512>,
    .softmax_update = SoftmaxUpdate<Avx512>,
    .scale = Scale<Avx512>,
    .scaled_add = ScaledAdd<Avx512>,
    .encode_latent = EncodeLatent<Avx512>,
    .decode_latent = DecodeLatent<Avx512>,
    .absorbed_tile = AbsorbedTile<Avx512>,
    .coded_attention = &avx512::kCodedAttention,
    .peak_int8 = avx512::PeakInt8,
    .peak_f32 = avx512::PeakF32,
};

}  // namespace mlad
