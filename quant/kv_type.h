// Storage types of the latent cache: how one latent row [c | k_pe] is stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

#include "quant/type_ids.h"

namespace mlad {

inline constexpr KvType kAllKvTypes[] = {
    KvType::kF16, KvType::kBF16, KvType::kQ8_0, KvType::kQ8KV, KvType::kQ6_0};

/// "f16", "bf16", "q8_0", "q8_kv", "q6_0".
std::string_view KvTypeName(KvType type);
/// Errors: kInvalidArgument naming the text and the five types.
absl::StatusOr<KvType> ParseKvType(std::string_view name);

/// Bytes of one stored row of `row_elements` numbers.
///
/// A stored row, little-endian, x the numbers, all arithmetic in f32 with every
/// operation rounded to nearest even; every kernel table stores the same bytes:
///
/// F16    [row_elements] f16 x
/// BF16   [row_elements] bf16 x
/// Q8_0   per 32 numbers, 34 bytes: f16 d; i8 q[32].
///        d = f16(max |x| / 127); q = round(x * (1 / d)) within +-127
/// Q6_0   per 32 numbers, 26 bytes: f16 d; u8 low[16]; u8 high[8].
///        d = f16(max |x| / 31); q = round(x * (1 / d)) within -32..31; code
///        = q + 32; code i < 16 has its low 4 bits in the low nibble of low[i],
///        code 16 + i in the high nibble; the top 2 bits of code 8 k + i are
///        bits 2 k of high[i]
/// Q8_KV  f32 scale; i32 sum of the q; i8 q[row_elements].
///        scale = max |x| / 127; q = round(x * (1 / scale)) within +-127
///
/// Q8_0, Q6_0, Q8_KV decode to d * q. A scale below 2^-100 is stored as zero;
/// where an x is infinite or NaN, d or scale is NaN (f16 0x7E00, f32
/// 0x7FC00000). Where d or scale is zero or not finite, q = 0.
///
/// At 576 numbers: 1152, 1152, 612, 584 (Q8_KV) and 468.
///
/// Errors: kInvalidArgument when row_elements is not a positive multiple of
/// 32 (block types) or of 4 (Q8_KV), naming type and length.
absl::StatusOr<int64_t> KvRowBytes(KvType type, int64_t row_elements);

}  // namespace mlad
