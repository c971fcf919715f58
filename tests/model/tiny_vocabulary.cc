#include <string_view>

#include "tests/model/tiny_model.h"

#include "base/check.h"

namespace mlad {
namespace {

constexpr int64_t kBytes = 256;
constexpr int64_t kMarkers = 4;
constexpr int32_t kNormal = 1;
constexpr int32_t kControl = 3;

/// UTF-8 of a code point below 0x800.
std::string Utf8(uint32_t code_point) {
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xC0 | (code_point >> 6)),
          static_cast<char>(0x80 | (code_point & 0x3F))};
}

bool IsPrintable(uint32_t byte) {
  return (byte >= 33 && byte < 127) ||
         (byte >= 161 && byte < 256 && byte != 173);
}

/// The printable stand-ins that byte-level BPE uses for the 256 bytes: those
/// that are not printable themselves get the code points from 256 on.
std::vector<std::string> ByteSymbols() {
  std::vector<std::string> symbols;
  uint32_t next = kBytes;
  for (uint32_t byte = 0; byte < kBytes; ++byte) {
    symbols.push_back(Utf8(IsPrintable(byte) ? byte : next++));
  }
  return symbols;
}

}  // namespace

TinyVocabulary MakeTinyVocabulary(int64_t size) {
  MLAD_CHECK(size >= 300);
  constexpr std::string_view kLetters = "etaoinshrdlu";
  TinyVocabulary vocabulary;
  std::vector<std::string>& tokens = vocabulary.tokens;
  tokens = ByteSymbols();
  for (const char first : kLetters) {
    for (const char second : kLetters) {
      if (static_cast<int64_t>(tokens.size()) == size - kMarkers) break;
      tokens.push_back({first, second});
      vocabulary.merges.push_back({first, ' ', second});
    }
  }
  while (static_cast<int64_t>(tokens.size()) < size - kMarkers) {
    tokens.push_back("[w" + std::to_string(tokens.size()) + "]");
  }
  vocabulary.types.assign(tokens.size(), kNormal);
  vocabulary.bos = static_cast<int32_t>(tokens.size());
  vocabulary.eos = vocabulary.bos + 1;
  for (const char* marker : {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>",
                             "<｜User｜>", "<｜Assistant｜>"}) {
    tokens.push_back(marker);
    vocabulary.types.push_back(kControl);
  }
  return vocabulary;
}

}  // namespace mlad
