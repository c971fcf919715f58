// Tensor element types of GGUF files (the `type` field of a tensor's entry).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

#include "quant/type_ids.h"

namespace mlad {

struct TensorTypeInfo {
  TensorType type;
  std::string_view name;  // as GGUF tools write it: "Q4_K"
  int block_elements;     // consecutive elements of a row that share a block
  int block_bytes;
};

/// Errors: kUnimplemented for a type of the format that mlad cannot compute
/// with (the message has its name), kInvalidArgument for an id the format
/// lacks.
absl::StatusOr<TensorTypeInfo> FindTensorType(uint32_t id);

/// The same for a type that is known to be supported.
const TensorTypeInfo& GetTensorType(TensorType type);

/// Bytes of `elements` consecutive elements; elements % block_elements == 0.
int64_t TensorRowBytes(TensorType type, int64_t elements);

/// Decodes blocks to float with scalar code: the reference of every kernel.
///
/// In   source [TensorRowBytes(type, elements)] bytes, unaligned
/// Out  out [elements] f32
void DequantizeRow(TensorType type, const std::byte* source, int64_t elements,
                   float* out);

}  // namespace mlad
