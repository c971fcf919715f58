// The tables this binary is built with. Internal to kernels/: others ask
// SupportedKernels() or FindKernels().
//
// Rules for the files compiled for one instruction set (avx2_*.cc, avx512_*.cc,
// amx_*.cc), which the linker must not use for other CPUs:
// - all their functions are in an anonymous namespace, or in the namespace
//   mlad::avx2, mlad::avx512 or mlad::amx where files share them;
// - they call no inline function of a shared header and instantiate no template
//   of the standard library: the linker keeps one copy of each for the program;
// - they include no header with a static initialiser (<iostream>, absl's
//   status.h): it would run on every CPU.
// tests/layers checks the objects' symbols.
#pragma once

#include "kernels/kernel_contract.h"

namespace mlad {

extern const KernelTable kScalarKernels;
extern const KernelTable kAvx2Kernels;    // needs AVX2, FMA, F16C
extern const KernelTable kAvx512Kernels;  // and AVX-512 F, BW, DQ, VL, VNNI

}  // namespace mlad
