// Storage types of the latent cache: how one latent row [c | k_pe] is stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace mlad {

enum class KvType : uint8_t { kF16, kBF16, kQ8_0, kQ8KV, kQ6_0 };
inline constexpr KvType kAllKvTypes[] = {KvType::kF16, KvType::kBF16,
                                         KvType::kQ8_0, KvType::kQ8KV,
                                         KvType::kQ6_0};

/// "f16", "bf16", "q8_0", "q8_kv", "q6_0".
std::string_view KvTypeName(KvType type);
/// Errors: kInvalidArgument naming the text and the five types.
absl::StatusOr<KvType> ParseKvType(std::string_view name);

/// Bytes of one stored row of `row_elements` numbers.
///
/// F16, BF16: 2 per number. Q8_0: blocks of 32, f16 scale and int8 codes, 34
/// bytes. Q6_0: blocks of 32, f16 scale, 6-bit codes, 26 bytes. Q8_KV: f32
/// scale and int32 sum of the codes for the whole row, then int8 codes.
/// At 576 numbers: 1152, 1152, 612, 584 (Q8_KV) and 468.
///
/// Errors: kInvalidArgument when row_elements is not a positive multiple of
/// 32 (block types) or of 4 (Q8_KV), naming type and length.
absl::StatusOr<int64_t> KvRowBytes(KvType type, int64_t row_elements);

}  // namespace mlad
