#include "kernels/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

enum Feature : uint32_t {
  kAvx2,
  kFma,
  kAvx512f,
  kAvx512bw,
  kAvx512dq,
  kAvx512vl,
  kAvx512vnni,
  kAmxTile,
  kAmxInt8,
  kFeatureCount
};

constexpr const char* kNames[kFeatureCount] = {
    "AVX2",     "FMA",         "AVX512F",  "AVX512BW", "AVX512DQ",
    "AVX512VL", "AVX512_VNNI", "AMX_TILE", "AMX_INT8"};

constexpr uint32_t FirstFeatures(uint32_t count) { return (1u << count) - 1; }

#if defined(__x86_64__)
/// Tiles are this process's on request only: their registers make what the
/// kernel has to store of a thread eleven kilobytes longer.
bool MayUseTiles() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

/// Of leaf 7, which not every compiler can ask for by name.
bool HasAmx(int edx_bit) {
  uint32_t eax, ebx, ecx, edx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (edx >> edx_bit & 1u) != 0 && MayUseTiles();
}
#endif

}  // namespace

CpuFeatures DetectCpuFeatures() {
  CpuFeatures cpu;
#if defined(__x86_64__)
  const auto add = [&cpu](Feature feature, bool supported) {
    if (supported) cpu.bits |= 1u << feature;
  };
  __builtin_cpu_init();
  // Every CPU with AVX2 has F16C, which not every compiler can ask for.
  add(kAvx2, __builtin_cpu_supports("avx2"));
  add(kFma, __builtin_cpu_supports("fma"));
  add(kAvx512f, __builtin_cpu_supports("avx512f"));
  add(kAvx512bw, __builtin_cpu_supports("avx512bw"));
  add(kAvx512dq, __builtin_cpu_supports("avx512dq"));
  add(kAvx512vl, __builtin_cpu_supports("avx512vl"));
  add(kAvx512vnni, __builtin_cpu_supports("avx512vnni"));
  add(kAmxTile, HasAmx(24));
  add(kAmxInt8, HasAmx(25));
#endif
  return cpu;
}

CpuFeatures RequiredFeatures(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return {0};
    case Isa::kAvx2:
      return {FirstFeatures(kFma + 1)};
    case Isa::kAvx512:
      return {FirstFeatures(kAvx512vnni + 1)};
    case Isa::kAmx:
      return {FirstFeatures(kFeatureCount)};
  }
  return {0};
}

std::string MissingFeatures(CpuFeatures required, CpuFeatures cpu) {
  std::string names;
  for (uint32_t i = 0; i < kFeatureCount; ++i) {
    if ((required.bits & ~cpu.bits) >> i & 1u) {
      absl::StrAppend(&names, names.empty() ? "" : ", ", kNames[i]);
    }
  }
  return names;
}

}  // namespace mlad
