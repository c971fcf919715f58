// The block formats whose codes are unpacked before they are multiplied: those
// that come from a codebook, lie in two planes or have 2 bits.
#include "kernels/avx2_quant_matmul.h"
#include "kernels/simd_unpacked_matmul.h"

namespace mlad::avx2 {
namespace {

template <PackedFormat kFormat>
void Run(const MatMulArgs& args) {
  RunUnpackedMatMul<QuantMatMul<kFormat, true>>(args);
}

}  // namespace

void MatMulUnpacked(const MatMulArgs& args) noexcept {
  switch (args.w.format) {
    case PackedFormat::kQ5:
      return Run<PackedFormat::kQ5>(args);
    case PackedFormat::kQ5M:
      return Run<PackedFormat::kQ5M>(args);
    case PackedFormat::kQ2K:
      return Run<PackedFormat::kQ2K>(args);
    case PackedFormat::kQ3K:
      return Run<PackedFormat::kQ3K>(args);
    case PackedFormat::kQ5K:
      return Run<PackedFormat::kQ5K>(args);
    case PackedFormat::kIq1S:
      return Run<PackedFormat::kIq1S>(args);
    case PackedFormat::kIq1M:
      return Run<PackedFormat::kIq1M>(args);
    case PackedFormat::kIq2Xxs:
      return Run<PackedFormat::kIq2Xxs>(args);
    case PackedFormat::kIq2Xs:
      return Run<PackedFormat::kIq2Xs>(args);
    case PackedFormat::kIq2S:
      return Run<PackedFormat::kIq2S>(args);
    case PackedFormat::kIq3Xxs:
      return Run<PackedFormat::kIq3Xxs>(args);
    case PackedFormat::kIq3S:
      return Run<PackedFormat::kIq3S>(args);
    default:
      return;  // MatMulQuantized has the other block formats
  }
}

}  // namespace mlad::avx2
