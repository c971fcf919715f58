// What the AVX2 files give to their table. Internal to avx2_*.cc.
#pragma once

#include "kernels/kernel_contract.h"

namespace mlad::avx2 {

/// KernelTable::matmul for the formats that multiply quantised activations.
void MatMulQuantized(const MatMulArgs& args) noexcept;
/// The same for several tokens, whose activations all have these bits.
void MatMulPairs(const MatMulArgs& args, ActivationBits bits);

int64_t PeakInt8(int64_t rounds) noexcept;
int64_t PeakF32(int64_t rounds) noexcept;

}  // namespace mlad::avx2
