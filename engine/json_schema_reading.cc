#include "engine/json_schema_reading.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "engine/grammar.h"

namespace mlad {
namespace {

constexpr const char* kAnnotations[] = {
    "title",      "description", "default",         "examples",
    "deprecated", "readOnly",    "writeOnly",       "format",
    "$schema",    "$id",         "$comment",        "$anchor",
    "$defs",      "definitions", "contentEncoding", "contentMediaType"};

bool Contains(absl::Span<const char* const> keywords,
              const std::string& keyword) {
  return std::find(keywords.begin(), keywords.end(), keyword) != keywords.end();
}

/// -1 when it is not there.
absl::StatusOr<int64_t> ReadCount(const Json& schema, const std::string& path,
                                  const char* keyword) {
  if (!HasKeyword(schema, keyword)) return -1;
  const Json& value = schema[keyword];
  const double count = value.is_number() ? value.get<double>() : -1;
  if (!(count >= 0 && count <= kMaxGrammarRepeats) ||
      count != std::floor(count)) {
    return JsonSchemaError(
        path, absl::StrCat("'", keyword, "' is a number from 0 to ",
                           kMaxGrammarRepeats));
  }
  return static_cast<int64_t>(count);
}

/// Tightens `bound` by a keyword, if that is there.
absl::Status ReadBound(const Json& schema, const std::string& path,
                       const char* keyword, bool is_integer,
                       std::optional<int64_t>& bound) {
  if (!HasKeyword(schema, keyword)) return absl::OkStatus();
  const Json& value = schema[keyword];
  const double number = value.is_number()
                            ? value.get<double>()
                            : std::numeric_limits<double>::quiet_NaN();
  if (!(std::abs(number) < static_cast<double>(kMaxJsonBound))) {
    return JsonSchemaError(
        path, absl::StrCat("'", keyword, "' is a number of at most 15 digits"));
  }
  const bool exclusive = absl::StartsWith(keyword, "exclusive");
  const bool is_least = absl::EndsWith(keyword, "inimum");
  const double whole = is_least ? std::ceil(number) : std::floor(number);
  if (!is_integer && (exclusive || number != whole)) {
    return JsonSchemaError(
        path, absl::StrCat("where numbers need not be integers, '", keyword,
                           "' is supported as a whole number only, and not as "
                           "exclusive"));
  }
  int64_t result = static_cast<int64_t>(whole);
  if (exclusive && whole == number) result += is_least ? 1 : -1;
  if (!bound.has_value() || (is_least ? result > *bound : result < *bound)) {
    bound = result;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status JsonSchemaError(const std::string& path,
                             absl::string_view sentence) {
  return absl::InvalidArgumentError(
      absl::StrCat("The JSON schema at ", path, ": ", sentence, "."));
}

bool HasKeyword(const Json& schema, const char* keyword) {
  return schema.find(keyword) != schema.end();
}

absl::Status RefuseOtherKeywords(const Json& schema, const std::string& path,
                                 absl::Span<const char* const> known) {
  for (const auto& [keyword, unused] : schema.items()) {
    if (Contains(known, keyword) || Contains(kAnnotations, keyword)) continue;
    return JsonSchemaError(
        path, absl::StrCat("'", keyword, "' is not supported here"));
  }
  return absl::OkStatus();
}

std::string JsonCounts::Repeat(int64_t taken) const {
  const int64_t low = std::max<int64_t>(0, least - taken);
  return most < 0 ? absl::StrCat("{", low, ",}")
                  : absl::StrCat("{", low, ",", most - taken, "}");
}

absl::StatusOr<JsonCounts> ReadJsonCounts(const Json& schema,
                                          const std::string& path,
                                          const char* least, const char* most) {
  JsonCounts counts;
  MLAD_ASSIGN_OR_RETURN(counts.least, ReadCount(schema, path, least));
  MLAD_ASSIGN_OR_RETURN(counts.most, ReadCount(schema, path, most));
  counts.least = std::max<int64_t>(counts.least, 0);
  if (counts.most >= 0 && counts.most < counts.least) {
    return JsonSchemaError(
        path, absl::StrCat("'", most, "' is less than '", least, "'"));
  }
  return counts;
}

absl::StatusOr<JsonBounds> ReadJsonBounds(const Json& schema,
                                          const std::string& path,
                                          bool is_integer) {
  JsonBounds bounds;
  for (const char* keyword : {"minimum", "exclusiveMinimum"}) {
    MLAD_RETURN_IF_ERROR(
        ReadBound(schema, path, keyword, is_integer, bounds.least));
  }
  for (const char* keyword : {"maximum", "exclusiveMaximum"}) {
    MLAD_RETURN_IF_ERROR(
        ReadBound(schema, path, keyword, is_integer, bounds.most));
  }
  if (bounds.least.value_or(-kMaxJsonBound) >
      bounds.most.value_or(kMaxJsonBound)) {
    return JsonSchemaError(path, "there is no number between the bounds");
  }
  return bounds;
}

}  // namespace mlad
