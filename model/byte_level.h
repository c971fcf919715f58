// The byte-level alphabet: every byte has a printable character, and
// vocabularies spell their tokens in these characters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mlad {

/// The bytes that a token's spelling stands for; nothing when a character is
/// not of the alphabet or the spelling is not UTF-8.
/// Source GPT-2: the printable characters of Latin-1 stand for themselves, the
/// other 68 bytes, in ascending order, for U+0100 and up.
std::optional<std::string> BytesOfSpelling(std::string_view spelling);

}  // namespace mlad
