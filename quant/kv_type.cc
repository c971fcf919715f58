#include "quant/kv_type.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

constexpr int64_t kBlock = 32;

// Bytes of a block of 32 numbers, 0 for the types that are not made of blocks.
int64_t BlockBytes(KvType type) {
  switch (type) {
    case KvType::kQ8_0:
      return 2 + kBlock;
    case KvType::kQ6_0:
      return 2 + kBlock * 6 / 8;
    default:
      return 0;
  }
}

}  // namespace

std::string_view KvTypeName(KvType type) {
  switch (type) {
    case KvType::kF16:
      return "f16";
    case KvType::kBF16:
      return "bf16";
    case KvType::kQ8_0:
      return "q8_0";
    case KvType::kQ8KV:
      return "q8_kv";
    case KvType::kQ6_0:
      return "q6_0";
  }
  return "unknown";
}

absl::StatusOr<KvType> ParseKvType(std::string_view name) {
  for (KvType type : kAllKvTypes) {
    if (name == KvTypeName(type)) return type;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown cache type \"", std::string(name),
                   "\": use one of f16, bf16, q8_0, q8_kv, q6_0"));
}

absl::StatusOr<int64_t> KvRowBytes(KvType type, int64_t row_elements) {
  const int64_t block_bytes = BlockBytes(type);
  const int64_t multiple =
      block_bytes > 0 ? kBlock : (type == KvType::kQ8KV ? 4 : 1);
  if (row_elements <= 0 || row_elements % multiple != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a cache of type ", std::string(KvTypeName(type)),
        " needs latent rows whose length is a positive multiple of ", multiple,
        ", and this model's rows have ", row_elements,
        " numbers: use the cache type f16"));
  }
  if (block_bytes > 0) return row_elements / kBlock * block_bytes;
  if (type == KvType::kQ8KV) return 8 + row_elements;
  return 2 * row_elements;
}

}  // namespace mlad
