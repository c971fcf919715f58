// The block formats that are multiplied as they are packed.
#include "kernels/avx512_quant_matmul.h"

#include "kernels/avx512_kernels.h"

namespace mlad::avx512 {
namespace {

void MatMulWide(const MatMulArgs& args) {
  switch (args.w.format) {
    case PackedFormat::kQ8:
      return RunMatMul<QuantMatMul<PackedFormat::kQ8>>(args);
    case PackedFormat::kQ4:
      return RunMatMul<QuantMatMul<PackedFormat::kQ4>>(args);
    case PackedFormat::kNL4:
      return RunMatMul<QuantMatMul<PackedFormat::kNL4>>(args);
    case PackedFormat::kQ4M:
      return RunMatMul<QuantMatMul<PackedFormat::kQ4M>>(args);
    case PackedFormat::kMx4:
      return RunMatMul<QuantMatMul<PackedFormat::kMx4>>(args);
    case PackedFormat::kQ4K:
      return RunMatMul<QuantMatMul<PackedFormat::kQ4K>>(args);
    case PackedFormat::kQ6K:
      return RunMatMul<QuantMatMul<PackedFormat::kQ6K>>(args);
    case PackedFormat::kNL4K:
      return RunMatMul<QuantMatMul<PackedFormat::kNL4K>>(args);
    default:
      return MatMulUnpacked(args);
  }
}

}  // namespace

void MatMulQuantized(const MatMulArgs& args) noexcept {
  ForRunsOfBits(args, [](const MatMulArgs& run, ActivationBits bits) {
    // However few: the two round differently.
    if (bits == ActivationBits::k8) {
      MatMulNarrow(run);
    } else {
      MatMulWide(run);
    }
  });
}

}  // namespace mlad::avx512
