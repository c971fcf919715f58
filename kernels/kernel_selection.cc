#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "kernels/amx_kernels.h"
#include "kernels/cpu_features.h"
#include "kernels/kernel_tables.h"
#include "kernels/kernels.h"

namespace mlad {
namespace {

#ifdef MLAD_HAVE_AMX
/// The AVX-512 table but for what tiles do faster.
KernelTable MakeAmxKernels() {
  static CodedAttention coded_attention = *kAvx512Kernels.coded_attention;
  coded_attention.project = amx::Project;
  coded_attention.attend = amx::Attend;
  KernelTable table = kAvx512Kernels;
  table.isa = Isa::kAmx;
  table.matmul = amx::MatMul;
  table.coded_attention = &coded_attention;
  table.peak_int8 = amx::PeakInt8;
  return table;
}
#endif

/// Best first.
absl::Span<const KernelTable* const> BuiltKernels() {
#ifdef MLAD_HAVE_AMX
  static const KernelTable amx_kernels = MakeAmxKernels();
#endif
  static const KernelTable* const built[] = {
#ifdef MLAD_HAVE_AMX
      &amx_kernels,
#endif
#ifdef MLAD_HAVE_AVX512
      &kAvx512Kernels,
#endif
#ifdef MLAD_HAVE_AVX2
      &kAvx2Kernels,
#endif
      &kScalarKernels,
  };
  return built;
}

std::string SupportedNames() {
  return absl::StrJoin(SupportedKernels(), ", ",
                       [](std::string* out, const KernelTable* kernels) {
                         out->append(IsaName(kernels->isa));
                       });
}

bool IsBuilt(Isa isa) {
  for (const KernelTable* kernels : BuiltKernels()) {
    if (kernels->isa == isa) return true;
  }
  return false;
}

}  // namespace

std::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAmx:
      return "amx";
  }
  return "unknown";
}

absl::Span<const KernelTable* const> SupportedKernels() {
  static const std::vector<const KernelTable*> supported = [] {
    const CpuFeatures cpu = DetectCpuFeatures();
    std::vector<const KernelTable*> tables;
    for (const KernelTable* kernels : BuiltKernels()) {
      if (MissingFeatures(RequiredFeatures(kernels->isa), cpu).empty()) {
        tables.push_back(kernels);
      }
    }
    return tables;
  }();
  return supported;
}

absl::StatusOr<const KernelTable*> FindKernels(Isa isa) {
  for (const KernelTable* kernels : SupportedKernels()) {
    if (kernels->isa == isa) return kernels;
  }
  const std::string name(IsaName(isa));
  if (!IsBuilt(isa)) {
    return absl::FailedPreconditionError(
        absl::StrCat("this program was built without ", name,
                     " kernels; it has and can run here: ", SupportedNames()));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("this CPU cannot run the ", name, " kernels: it lacks ",
                   MissingFeatures(RequiredFeatures(isa), DetectCpuFeatures()),
                   "; it can run: ", SupportedNames()));
}

absl::StatusOr<const KernelTable*> SelectKernels(std::string_view forced_isa) {
  if (forced_isa.empty()) return SupportedKernels().front();
  for (Isa isa : kAllIsas) {
    if (forced_isa == IsaName(isa)) return FindKernels(isa);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown kernels \"", std::string(forced_isa),
      "\": MLAD_ISA must be scalar, avx2, avx512 or amx, or unset for the "
      "best that this CPU runs (",
      std::string(IsaName(SupportedKernels().front()->isa)), ")"));
}

}  // namespace mlad
