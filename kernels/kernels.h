// Which kernels this CPU runs. What they compute: kernel_contract.h.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "kernels/kernel_contract.h"
#include "quant/kv_type.h"

namespace mlad {

std::string_view IsaName(Isa isa);  // "scalar", "avx2", "avx512", "amx"

/// Tables this binary was built with and this CPU can run, best first.
absl::Span<const KernelTable* const> SupportedKernels();

/// The table of that ISA. Errors: kFailedPrecondition when the CPU lacks it,
/// naming the missing instruction sets and the supported tables.
absl::StatusOr<const KernelTable*> FindKernels(Isa isa);

/// Parses the value of MLAD_ISA; empty means the best supported table.
/// Errors: kInvalidArgument for an unknown name, else as FindKernels.
absl::StatusOr<const KernelTable*> SelectKernels(std::string_view forced_isa);

}  // namespace mlad
