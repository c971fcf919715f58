// Models split over several GGUF files: PREFIX-00001-of-00009.gguf and so on.
// Part 1 has the metadata; every part has the keys split.no (from 0),
// split.count and split.tensors.count, and some of the tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mlad {

class GgufFile;

inline constexpr int64_t kMaxGgufParts = 99999;  // five digits

struct GgufPartName {
  std::string prefix;
  int64_t part = 0;  // from 1
  int64_t count = 0;

  /// The path of part `number` (from 1).
  std::string Path(int64_t number) const;
};

/// None when the path does not have the form of a part's.
std::optional<GgufPartName> ParseGgufPartName(std::string_view path);

/// The parts a file claims to be split into; 1 when it says nothing.
/// Errors: kInvalidArgument when split.count is not 1 to kMaxGgufParts.
absl::StatusOr<int64_t> GgufPartCount(const GgufFile& file);

/// Checks the keys of part `number` (from 1) of `count`.
/// Errors: kInvalidArgument naming the key.
absl::Status CheckGgufPart(const GgufFile& file, int64_t number, int64_t count);

/// Checks split.tensors.count of the first part against all tensors found.
absl::Status CheckGgufPartTensors(const GgufFile& first, int64_t tensors);

}  // namespace mlad
