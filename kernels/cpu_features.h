// What the CPU can run, and what each kernel table needs.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/kernels.h"

namespace mlad {

/// A set of instruction sets; bit i is the i-th name of the list in the .cc.
struct CpuFeatures {
  uint32_t bits = 0;
};

/// What this CPU and its operating system support.
CpuFeatures DetectCpuFeatures();

/// What the table of `isa` needs.
CpuFeatures RequiredFeatures(Isa isa);

/// The names of the sets in `required` that `cpu` lacks, "AVX2, FMA"; empty
/// when none is missing.
std::string MissingFeatures(CpuFeatures required, CpuFeatures cpu);

}  // namespace mlad
