// The key-value section of a GGUF file.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"

#include "model/gguf_cursor.h"
#include "model/gguf_file.h"

namespace mlad {

using GgufMetadata = std::map<std::string, GgufValue, std::less<>>;

/// Reads `count` entries into `metadata`.
///
/// Memory stays within a small multiple of the bytes read: nothing is reserved
/// for elements that the file is too short to hold.
/// Errors: kInvalidArgument naming the key.
absl::Status ReadGgufMetadata(GgufCursor& cursor, uint64_t count,
                              GgufMetadata& metadata);

}  // namespace mlad
