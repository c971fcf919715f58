// The keywords of a JSON Schema, one at a time.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "engine/json_number_range.h"

namespace mlad {

using Json = nlohmann::ordered_json;  // properties keep their order

/// Of schemas whose type is known or guessed.
inline constexpr const char* kJsonTypeKeywords[] = {"type",
                                                    "properties",
                                                    "required",
                                                    "additionalProperties",
                                                    "items",
                                                    "prefixItems",
                                                    "minItems",
                                                    "maxItems",
                                                    "minLength",
                                                    "maxLength",
                                                    "minimum",
                                                    "maximum",
                                                    "exclusiveMinimum",
                                                    "exclusiveMaximum"};

/// kInvalidArgument; `sentence` has no full stop.
absl::Status JsonSchemaError(const std::string& path,
                             absl::string_view sentence);

bool HasKeyword(const Json& schema, const char* keyword);

/// Errors for a keyword that is neither `known` nor an annotation: it would be
/// ignored, though it constrains.
absl::Status RefuseOtherKeywords(const Json& schema, const std::string& path,
                                 absl::Span<const char* const> known);

struct JsonCounts {
  int64_t least = 0;
  int64_t most = -1;  // -1: no limit
  /// As a repeat of a grammar, after `taken` have been written.
  std::string Repeat(int64_t taken) const;
};
/// Of the keywords `least` and `most`.
absl::StatusOr<JsonCounts> ReadJsonCounts(const Json& schema,
                                          const std::string& path,
                                          const char* least, const char* most);

/// Of minimum, maximum and, for integers, their exclusive forms.
absl::StatusOr<JsonBounds> ReadJsonBounds(const Json& schema,
                                          const std::string& path,
                                          bool is_integer);

}  // namespace mlad
