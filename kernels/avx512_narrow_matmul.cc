// All block formats with activations of 8 bits: codes are unpacked once for
// many tokens.
#include "kernels/avx512_quant_matmul.h"
#include "kernels/simd_unpacked_matmul.h"

namespace mlad::avx512 {
namespace {

template <PackedFormat kFormat>
void Run(const MatMulArgs& args) {
  RunUnpackedMatMul<QuantMatMul<kFormat, true, true>>(args);
}

}  // namespace

void MatMulNarrow(const MatMulArgs& args) noexcept {
  switch (args.w.format) {
    case PackedFormat::kQ8:
      return Run<PackedFormat::kQ8>(args);
    case PackedFormat::kQ4:
      return Run<PackedFormat::kQ4>(args);
    case PackedFormat::kNL4:
      return Run<PackedFormat::kNL4>(args);
    case PackedFormat::kQ4K:
      return Run<PackedFormat::kQ4K>(args);
    case PackedFormat::kQ6K:
      return Run<PackedFormat::kQ6K>(args);
    case PackedFormat::kQ4M:
      return Run<PackedFormat::kQ4M>(args);
    case PackedFormat::kQ5:
      return Run<PackedFormat::kQ5>(args);
    case PackedFormat::kQ5M:
      return Run<PackedFormat::kQ5M>(args);
    case PackedFormat::kQ5K:
      return Run<PackedFormat::kQ5K>(args);
    case PackedFormat::kQ2K:
      return Run<PackedFormat::kQ2K>(args);
    case PackedFormat::kQ3K:
      return Run<PackedFormat::kQ3K>(args);
    case PackedFormat::kNL4K:
      return Run<PackedFormat::kNL4K>(args);
    case PackedFormat::kMx4:
      return Run<PackedFormat::kMx4>(args);
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
      return;  // floats have no bits to spare
  }
}

}  // namespace mlad::avx512
