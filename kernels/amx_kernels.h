// What the AMX files replace in the AVX-512 table. Internal to kernels/.
#pragma once

#include "kernels/kernel_contract.h"

namespace mlad::amx {

/// KernelTable::matmul; gives the bits of the AVX-512 table's.
void MatMul(const MatMulArgs& args) noexcept;
/// The same of KernelTable::coded_attention's functions.
void Project(const ProjectArgs& args) noexcept;
void Attend(const CodedTileArgs& args) noexcept;

int64_t PeakInt8(int64_t rounds) noexcept;

}  // namespace mlad::amx
