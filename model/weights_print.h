// What tells a model's weights from others'.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

#include "model/gguf_file.h"

namespace mlad {

/// The same for every copy of a file: a hash of the tensors' names, types and
/// shapes and of the first and last 4 KiB of each one's data. Reads no more
/// than that. Errors: those of GgufFile::ReadIn.
absl::StatusOr<uint64_t> PrintWeights(const GgufFile& file);

}  // namespace mlad
