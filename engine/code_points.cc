#include "engine/code_points.h"

#include <algorithm>
#include <utility>

namespace mlad {
namespace {

constexpr uint32_t kLastCodePoint = 0x10FFFF;
constexpr uint32_t kFirstSurrogate = 0xD800;
constexpr uint32_t kLastSurrogate = 0xDFFF;
// The last code points that 1 to 4 bytes spell.
constexpr uint32_t kLastOfLength[] = {0x7F, 0x7FF, 0xFFFF, kLastCodePoint};

/// Of `range`, whose code points all take as many bytes.
void SplitAtBlocks(const CodePointRange& range, size_t bytes,
                   std::vector<std::vector<ByteRange>>& sequences) {
  for (size_t tail = 1; tail < bytes; ++tail) {
    const uint32_t low_bits = (1u << (6 * tail)) - 1;
    if ((range.first & ~low_bits) == (range.last & ~low_bits)) break;
    if ((range.first & low_bits) != 0) {
      const uint32_t block_end = range.first | low_bits;
      SplitAtBlocks({range.first, block_end}, bytes, sequences);
      SplitAtBlocks({block_end + 1, range.last}, bytes, sequences);
      return;
    }
    if ((range.last & low_bits) != low_bits) {
      const uint32_t block_begin = range.last & ~low_bits;
      SplitAtBlocks({range.first, block_begin - 1}, bytes, sequences);
      SplitAtBlocks({block_begin, range.last}, bytes, sequences);
      return;
    }
  }
  std::string first;
  std::string last;
  AppendUtf8(range.first, first);
  AppendUtf8(range.last, last);
  std::vector<ByteRange>& sequence = sequences.emplace_back();
  for (size_t i = 0; i < bytes; ++i) {
    sequence.push_back(
        {static_cast<uint8_t>(first[i]), static_cast<uint8_t>(last[i])});
  }
}

}  // namespace

bool IsCodePoint(uint32_t code_point) {
  return code_point <= kLastCodePoint &&
         (code_point < kFirstSurrogate || code_point > kLastSurrogate);
}

uint32_t DecodeUtf8(std::string_view character) {
  const auto lead = static_cast<uint8_t>(character[0]);
  // A lead byte of n bytes begins with n ones and a zero.
  uint32_t code =
      character.size() == 1 ? lead : lead & (0x7Fu >> character.size());
  for (const char byte : character.substr(1)) {
    code = code << 6 | (static_cast<uint8_t>(byte) & 0x3Fu);
  }
  return code;
}

std::vector<CodePointRange> NormalizeCodePoints(
    std::vector<CodePointRange> ranges, bool negated) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodePointRange& a, const CodePointRange& b) {
              return a.first < b.first;
            });
  std::vector<CodePointRange> joined;
  for (const CodePointRange& range : ranges) {
    if (!joined.empty() && range.first <= joined.back().last + 1) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  if (negated) {
    std::vector<CodePointRange> gaps;
    uint32_t next = 0;
    for (const CodePointRange& range : joined) {
      if (range.first > next) gaps.push_back({next, range.first - 1});
      next = range.last + 1;
    }
    if (next <= kLastCodePoint) gaps.push_back({next, kLastCodePoint});
    joined = std::move(gaps);
  }
  std::vector<CodePointRange> result;
  for (const CodePointRange& range : joined) {
    if (range.first < kFirstSurrogate) {
      result.push_back(
          {range.first, std::min(range.last, kFirstSurrogate - 1)});
    }
    if (range.last > kLastSurrogate) {
      result.push_back({std::max(range.first, kLastSurrogate + 1), range.last});
    }
  }
  return result;
}

std::vector<std::vector<ByteRange>> Utf8Sequences(const CodePointRange& range) {
  std::vector<std::vector<ByteRange>> sequences;
  uint32_t first = range.first;
  for (size_t bytes = 1; bytes <= 4 && first <= range.last; ++bytes) {
    const uint32_t last_of_length = kLastOfLength[bytes - 1];
    if (first > last_of_length) continue;
    SplitAtBlocks({first, std::min(range.last, last_of_length)}, bytes,
                  sequences);
    first = last_of_length + 1;
  }
  return sequences;
}

void AppendUtf8(uint32_t code_point, std::string& text) {
  const auto add = [&](uint32_t byte) {
    text.push_back(static_cast<char>(byte));
  };
  const auto add_tail = [&](int shift) {
    add(0x80 | ((code_point >> shift) & 0x3F));
  };
  if (code_point < 0x80) {
    add(code_point);
  } else if (code_point < 0x800) {
    add(0xC0 | code_point >> 6);
    add_tail(0);
  } else if (code_point < 0x10000) {
    add(0xE0 | code_point >> 12);
    add_tail(6);
    add_tail(0);
  } else {
    add(0xF0 | code_point >> 18);
    add_tail(12);
    add_tail(6);
    add_tail(0);
  }
}

}  // namespace mlad
