// Unicode code points and the UTF-8 bytes that spell them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlad {

/// Code points [first, last].
struct CodePointRange {
  uint32_t first = 0;
  uint32_t last = 0;
};

/// Bytes [first, last].
struct ByteRange {
  uint8_t first = 0;
  uint8_t last = 0;
};

/// False for surrogates and beyond U+10FFFF.
bool IsCodePoint(uint32_t code_point);

/// `code_point` in UTF-8.
void AppendUtf8(uint32_t code_point, std::string& text);

/// Of exactly one whole character.
uint32_t DecodeUtf8(std::string_view character);

/// The same code points, or all others, as ascending ranges with gaps between
/// them and without surrogates.
std::vector<CodePointRange> NormalizeCodePoints(
    std::vector<CodePointRange> ranges, bool negated);

/// The UTF-8 spellings of a range without surrogates, as sequences of 1 to 4
/// byte ranges: any choice of a byte from each spells one of the code points.
/// Source the splitting at aligned blocks of 64 that regular-expression
/// compilers use (Russ Cox, "Regular Expression Matching in the Wild").
std::vector<std::vector<ByteRange>> Utf8Sequences(const CodePointRange& range);

}  // namespace mlad
