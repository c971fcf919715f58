// The kernels for a matrix unit with a stand-in for it, so that their logic is
// tested on CPUs that have none.
#pragma once

#include <optional>

#include "kernels/kernel_contract.h"

namespace mlad::testing {

/// The AVX-512 table with what the AMX table replaces in it, on tiles that
/// plain code multiplies; none where the CPU lacks AVX-512.
std::optional<KernelTable> TileStandInKernels();

}  // namespace mlad::testing
