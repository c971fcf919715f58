#include "kernels/avx2_quant_matmul.h"

#include "kernels/avx2_kernels.h"

namespace mlad::avx2 {
namespace {

/// Tokens from which on codes are unpacked first: measured with
/// bench/kernel_bench.
constexpr int64_t kWorthUnpacking = 4;

/// Multiplies codes as they are packed, where they can be read so.
void MatMulFew(const MatMulArgs& args) {
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
    default:  // of codebooks, two planes or 2 bits
      return MatMulPairs(args, ActivationBits::k16);
  }
}

}  // namespace

void MatMulQuantized(const MatMulArgs& args) noexcept {
  ForRunsOfBits(args, [](const MatMulArgs& run, ActivationBits bits) {
    // However few: the two round differently.
    if (bits == ActivationBits::k8 || run.tokens >= kWorthUnpacking) {
      MatMulPairs(run, bits);
    } else {
      MatMulFew(run);
    }
  });
}

}  // namespace mlad::avx2
