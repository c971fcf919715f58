#include "tests/model/test_vocabulary.h"

#include <algorithm>

namespace mlad {
namespace {

constexpr int32_t kNormal = 1;

bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
}

}  // namespace

std::string SpellByte(uint8_t byte) {
  int character = byte;
  if (!StandsForItself(byte)) {
    character = 0x100;
    for (int other = 0; other < byte; ++other) {
      character += StandsForItself(other) ? 0 : 1;
    }
  }
  if (character < 0x80) return {static_cast<char>(character)};
  return {static_cast<char>(0xC0 | character >> 6),
          static_cast<char>(0x80 | (character & 0x3F))};
}

TestVocabulary::TestVocabulary() {
  for (int byte = 0; byte < 256; ++byte) {
    AddToken(SpellByte(static_cast<uint8_t>(byte)), kNormal);
  }
}

void TestVocabulary::AddMerge(const std::string& left,
                              const std::string& right) {
  merges.push_back(left + " " + right);
  const std::string merged = left + right;
  if (std::find(tokens.begin(), tokens.end(), merged) == tokens.end()) {
    AddToken(merged, kNormal);
  }
}

int32_t TestVocabulary::AddToken(const std::string& text, int32_t kind) {
  tokens.push_back(text);
  kinds.push_back(kind);
  return static_cast<int32_t>(tokens.size()) - 1;
}

GgufWriter TestVocabulary::Writer() const {
  GgufWriter writer;
  writer.SetString("general.architecture", "deepseek2");
  writer.SetString("tokenizer.ggml.model", model);
  writer.SetString("tokenizer.ggml.pre", pre);
  writer.SetStrings("tokenizer.ggml.tokens", tokens);
  writer.SetInt32s("tokenizer.ggml.token_type", kinds);
  writer.SetStrings("tokenizer.ggml.merges", merges);
  return writer;
}

}  // namespace mlad
