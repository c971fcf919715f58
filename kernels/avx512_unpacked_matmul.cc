// The block formats whose codes are unpacked before they are multiplied:
// always where they come from a codebook, for several tokens where they lie in
// two planes or in 2 bits.
#include "kernels/avx512_quant_matmul.h"
#include "kernels/simd_unpacked_matmul.h"

namespace mlad::avx512 {
namespace {

/// Tokens from which on codes are unpacked first. Chosen, not measured.
constexpr int64_t kWorthUnpacking = 8;

template <PackedFormat kFormat>
void RunEither(const MatMulArgs& args) {
  if (args.tokens < kWorthUnpacking) {
    return RunMatMul<QuantMatMul<kFormat>>(args);
  }
  RunUnpackedMatMul<QuantMatMul<kFormat, true>>(args);
}

template <PackedFormat kFormat>
void RunGrid(const MatMulArgs& args) {
  RunUnpackedMatMul<QuantMatMul<kFormat, true>>(args);
}

}  // namespace

void MatMulUnpacked(const MatMulArgs& args) noexcept {
  switch (args.w.format) {
    case PackedFormat::kQ5:
      return RunEither<PackedFormat::kQ5>(args);
    case PackedFormat::kQ5M:
      return RunEither<PackedFormat::kQ5M>(args);
    case PackedFormat::kQ2K:
      return RunEither<PackedFormat::kQ2K>(args);
    case PackedFormat::kQ3K:
      return RunEither<PackedFormat::kQ3K>(args);
    case PackedFormat::kQ5K:
      return RunEither<PackedFormat::kQ5K>(args);
    case PackedFormat::kIq1S:
      return RunGrid<PackedFormat::kIq1S>(args);
    case PackedFormat::kIq1M:
      return RunGrid<PackedFormat::kIq1M>(args);
    case PackedFormat::kIq2Xxs:
      return RunGrid<PackedFormat::kIq2Xxs>(args);
    case PackedFormat::kIq2Xs:
      return RunGrid<PackedFormat::kIq2Xs>(args);
    case PackedFormat::kIq2S:
      return RunGrid<PackedFormat::kIq2S>(args);
    case PackedFormat::kIq3Xxs:
      return RunGrid<PackedFormat::kIq3Xxs>(args);
    case PackedFormat::kIq3S:
      return RunGrid<PackedFormat::kIq3S>(args);
    default:
      return;  // MatMulQuantized has the other block formats
  }
}

}  // namespace mlad::avx512
