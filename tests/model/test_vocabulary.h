// A byte-level vocabulary for tests, right until a test changes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/gguf_writer.h"

namespace mlad {

/// The token of one byte, spelled in the byte-level alphabet.
std::string SpellByte(uint8_t byte);

/// Ids 0 to 255 are the bytes in order, then come the results of `merges`, then
/// the special tokens.
struct TestVocabulary {
  std::string model = "gpt2";
  std::string pre = "deepseek-v3";
  std::vector<std::string> tokens;
  std::vector<int32_t> kinds;
  std::vector<std::string> merges;

  TestVocabulary();
  /// Adds the merge and, when new, its token. Spellings as in the file.
  void AddMerge(const std::string& left, const std::string& right);
  /// Returns its id.
  int32_t AddToken(const std::string& text, int32_t kind);
  /// Metadata with the vocabulary; tests add ids and policies.
  GgufWriter Writer() const;
};

}  // namespace mlad
