// The tokens of a GGUF file's vocabulary: their bytes and their kinds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "model/gguf_file.h"

namespace mlad {

/// The values of tokenizer.ggml.token_type.
enum class TokenKind : uint8_t {
  kNormal = 1,  // spelled in the byte-level alphabet; the others as they are
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

class Vocabulary {
 public:
  /// Reads tokenizer.ggml.tokens and .token_type.
  /// Errors: kInvalidArgument when they are missing, differ in length, name a
  /// kind that is none, repeat a token, or spell a normal token in characters
  /// outside the byte-level alphabet.
  static absl::StatusOr<Vocabulary> Load(const GgufFile& file);

  int32_t size() const { return static_cast<int32_t>(kinds_.size()); }
  bool Has(int32_t id) const { return id >= 0 && id < size(); }
  /// Of an id that Has() knows.
  std::string_view Bytes(int32_t id) const {
    const size_t begin = begins_[static_cast<size_t>(id)];
    const size_t end = begins_[static_cast<size_t>(id) + 1];
    return std::string_view(bytes_.data() + begin, end - begin);
  }
  TokenKind kind(int32_t id) const { return kinds_[static_cast<size_t>(id)]; }
  /// The normal token that stands for `bytes`.
  std::optional<int32_t> FindNormal(std::string_view bytes) const;

 private:
  absl::Status Add(const std::string& spelling, TokenKind kind);
  absl::Status IndexNormal();

  std::vector<char> bytes_;           // of all tokens, one after the other
  std::vector<size_t> begins_ = {0};  // [size + 1] into bytes_
  std::vector<TokenKind> kinds_;
  absl::flat_hash_map<std::string_view, int32_t> normal_by_bytes_;
};

/// The strings of an array in the metadata.
/// Errors: kInvalidArgument when it is missing or holds something else.
absl::StatusOr<absl::Span<const std::string>> GetStrings(const GgufFile& file,
                                                         std::string_view key);

}  // namespace mlad
