// The storage types as enums alone, for code compiled for one instruction set:
// absl's status.h brings a static initialiser, which would be compiled with the
// same flags and run on CPUs that lack the instructions.
#pragma once

#include <cstdint>

namespace mlad {

/// Values are those of the file format (ggml's type ids).
enum class TensorType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ2_K = 10,
  kQ3_K = 11,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kIQ2_XXS = 16,
  kIQ2_XS = 17,
  kIQ3_XXS = 18,
  kIQ1_S = 19,
  kIQ4_NL = 20,
  kIQ3_S = 21,
  kIQ2_S = 22,
  kIQ4_XS = 23,
  kIQ1_M = 29,
  kBF16 = 30,
  kMXFP4 = 39,
};

/// How one latent row [c | k_pe] is stored: kv_type.h.
enum class KvType : uint8_t { kF16, kBF16, kQ8_0, kQ8KV, kQ6_0 };

}  // namespace mlad
