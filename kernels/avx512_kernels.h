// What the AVX-512 files give to their table. Internal to avx512_*.cc.
#pragma once

#include "kernels/kernel_contract.h"

namespace mlad::avx512 {

/// KernelTable::matmul for the formats that multiply quantised activations.
void MatMulQuantized(const MatMulArgs& args) noexcept;

extern const CodedAttention kCodedAttention;

}  // namespace mlad::avx512
