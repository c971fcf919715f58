#include "kernels/kernel_tables.h"
#include "kernels/scalar_kernels.h"

namespace mlad {
namespace {

const CodedAttention kScalarCodedAttention = {
    .encode_queries = scalar::EncodeQueries,
    .project = scalar::Project,
    .pack_values = scalar::PackValues,
    .attend = scalar::AttendCodes,
};

}  // namespace

const KernelTable kScalarKernels = {
    .isa = Isa::kScalar,
    .quantize_activations = scalar::QuantizeActivations,
    .matmul = scalar::MatMul,
    .gemm = scalar::Gemm,
    .rms_norm = scalar::RmsNorm,
    .silu_mul = scalar::SiluMul,
    .softmax_update = scalar::SoftmaxUpdate,
    .scale = scalar::Scale,
    .scaled_add = scalar::ScaledAdd,
    .encode_latent = scalar::EncodeLatent,
    .decode_latent = scalar::DecodeLatent,
    .absorbed_tile = scalar::AbsorbedTile,
    .coded_attention = &kScalarCodedAttention,
    .peak_int8 = scalar::PeakInt8,
    .peak_f32 = scalar::PeakF32,
};

}  // namespace mlad
