#include "model/vocabulary.h"

#include <limits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "model/byte_level.h"
#include "model/utf8.h"

namespace mlad {
namespace {

constexpr char kTokensKey[] = "tokenizer.ggml.tokens";
constexpr char kKindsKey[] = "tokenizer.ggml.token_type";

absl::Status MissingError(std::string_view key) {
  return absl::InvalidArgumentError(absl::StrCat(
      "The model file has no ", absl::string_view(key.data(), key.size()),
      ": convert the model again, with its tokenizer."));
}

absl::StatusOr<const GgufArray*> GetArray(const GgufFile& file,
                                          std::string_view key) {
  const GgufValue* value = file.FindValue(key);
  if (value == nullptr) return MissingError(key);
  const auto* array = std::get_if<GgufArray>(value);
  if (array == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::string_view(key.data(), key.size()),
                     " of the model file is not an array."));
  }
  return array;
}

absl::StatusOr<std::vector<int64_t>> GetIntegers(const GgufFile& file,
                                                 std::string_view key) {
  MLAD_ASSIGN_OR_RETURN(const GgufArray* array, GetArray(file, key));
  if (const auto* ints = std::get_if<std::vector<int64_t>>(&array->values)) {
    return *ints;
  }
  if (const auto* ints = std::get_if<std::vector<uint64_t>>(&array->values)) {
    return std::vector<int64_t>(ints->begin(), ints->end());
  }
  return absl::InvalidArgumentError(
      absl::StrCat(absl::string_view(key.data(), key.size()),
                   " of the model file is not an array of integers."));
}

bool IsKind(int64_t value) {
  return value >= static_cast<int64_t>(TokenKind::kNormal) &&
         value <= static_cast<int64_t>(TokenKind::kByte);
}

}  // namespace

absl::StatusOr<absl::Span<const std::string>> GetStrings(const GgufFile& file,
                                                         std::string_view key) {
  MLAD_ASSIGN_OR_RETURN(const GgufArray* array, GetArray(file, key));
  const auto* strings = std::get_if<std::vector<std::string>>(&array->values);
  if (strings == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::string_view(key.data(), key.size()),
                     " of the model file is not an array of strings."));
  }
  return absl::MakeConstSpan(*strings);
}

absl::Status Vocabulary::Add(const std::string& spelling, TokenKind kind) {
  std::string bytes = spelling;
  if (kind == TokenKind::kNormal) {
    std::optional<std::string> spelled = BytesOfSpelling(spelling);
    if (!spelled.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Token ", size(), " of the vocabulary, '",
          ReplaceInvalidUtf8(spelling),
          "', has a character outside the byte-level alphabet: the file's "
          "tokenizer.ggml.tokens or .token_type are damaged."));
    }
    bytes = *std::move(spelled);
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  begins_.push_back(bytes_.size());
  kinds_.push_back(kind);
  return absl::OkStatus();
}

/// Empty tokens stand for nothing and are left out.
absl::Status Vocabulary::IndexNormal() {
  for (int32_t id = 0; id < size(); ++id) {
    if (kind(id) != TokenKind::kNormal || Bytes(id).empty()) continue;
    const auto [entry, added] = normal_by_bytes_.try_emplace(Bytes(id), id);
    if (!added) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Tokens ", entry->second, " and ", id,
          " of the vocabulary are the same, '", ReplaceInvalidUtf8(Bytes(id)),
          "': the file's tokenizer.ggml.tokens are damaged."));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Vocabulary> Vocabulary::Load(const GgufFile& file) {
  MLAD_ASSIGN_OR_RETURN(const absl::Span<const std::string> spellings,
                        GetStrings(file, kTokensKey));
  MLAD_ASSIGN_OR_RETURN(const std::vector<int64_t> kinds,
                        GetIntegers(file, kKindsKey));
  if (spellings.size() != kinds.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        kTokensKey, " has ", spellings.size(), " entries and ", kKindsKey, " ",
        kinds.size(), ": the vocabulary is damaged."));
  }
  if (spellings.size() > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kTokensKey, " has ", spellings.size(),
                     " entries, more than token ids can count."));
  }
  Vocabulary result;
  for (size_t i = 0; i < spellings.size(); ++i) {
    if (!IsKind(kinds[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("Token ", i, " of the vocabulary has the unknown type ",
                       kinds[i], " in ", kKindsKey, "."));
    }
    MLAD_RETURN_IF_ERROR(
        result.Add(spellings[i], static_cast<TokenKind>(kinds[i])));
  }
  MLAD_RETURN_IF_ERROR(result.IndexNormal());
  return result;
}

std::optional<int32_t> Vocabulary::FindNormal(std::string_view bytes) const {
  const auto found = normal_by_bytes_.find(bytes);
  if (found == normal_by_bytes_.end()) return std::nullopt;
  return found->second;
}

}  // namespace mlad
