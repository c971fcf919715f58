// UTF-8, one character at a time: what is whole, what is broken, what is only
// begun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlad {

/// U+FFFD, what stands for bytes that are no text.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

enum class Utf8Kind : uint8_t {
  kCharacter,   // a whole character (1 to 4 bytes)
  kIncomplete,  // the text ends inside a character that could still be one
  kInvalid,     // the longest prefix that no continuation makes valid
};

struct Utf8Step {
  Utf8Kind kind = Utf8Kind::kInvalid;
  size_t bytes = 0;  // at least 1
};

/// The first character of `text`, which must not be empty.
/// Source the Unicode standard, table 3-7 (well-formed byte sequences) and
/// "maximal subparts" of section 3.9: surrogates and overlong forms are
/// invalid.
Utf8Step FirstUtf8(std::string_view text);

/// `text` with every maximal invalid part turned into U+FFFD.
std::string ReplaceInvalidUtf8(std::string_view text);

}  // namespace mlad
