// The tensor entries of a GGUF file, and where their data lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "model/gguf_cursor.h"
#include "model/gguf_file.h"

namespace mlad {

using GgufTensors = std::map<std::string, GgufTensor, std::less<>>;

/// Reads `count` entries and adds them to `tensors`, which may hold those of
/// other parts of the same model. The data section begins at the first multiple
/// of `alignment` behind the entries.
///
/// In   file: the whole file, which `cursor` reads; with `header_only` the data
///      may be missing, and the tensors get no pointers
/// Errors: kInvalidArgument, kUnimplemented (tensor type), naming the tensor.
struct GgufTensorSection {
  absl::Span<const std::byte> file;
  uint64_t count = 0;
  uint64_t alignment = 32;  // a power of two
  bool header_only = false;
};
absl::Status ReadGgufTensors(GgufCursor& cursor,
                             const GgufTensorSection& section,
                             GgufTensors& tensors);

}  // namespace mlad
