// Encodes and decodes texts with the tokenizer of a GGUF file, for comparison
// with other tokenizers.
//
//   encode_texts MODEL.gguf < texts.jsonl > results.jsonl
//   encode_texts --unassigned
//
// A line in is {"base64": TEXT}; a line out is {"ids": [...], "plain": [...],
// "same": true}: the ids with and without special tokens, and whether both
// decode to the text. --unassigned prints the code points that the regular
// expressions' Unicode tables do not know yet, as a JSON array.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

#include <pcre2.h>

#include "absl/strings/escaping.h"
#include "nlohmann/json.hpp"

#include "model/tokenizer.h"

namespace mlad {
namespace {

nlohmann::json Result(const Tokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.Encode(text, {.add_bos = false});
  const auto plain =
      tokenizer.Encode(text, {.add_bos = false, .parse_special = false});
  const bool same = tokenizer.Decode(ids, /*with_special=*/true) == text &&
                    tokenizer.Decode(plain, /*with_special=*/true) == text;
  return {{"ids", ids}, {"plain", plain}, {"same", same}};
}

int Run(const std::string& path) {
  const auto file = GgufFile::Open(path, {.header_only = true});
  if (!file.ok()) {
    std::cerr << file.status() << "\n";
    return 1;
  }
  const auto tokenizer = Tokenizer::Create(**file);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = nlohmann::json::parse(line);
    std::string text;
    if (!absl::Base64Unescape(request["base64"].get<std::string>(), &text)) {
      std::cerr << "not base64: " << line << "\n";
      return 1;
    }
    std::cout << Result(**tokenizer, text).dump() << "\n";
  }
  return 0;
}

std::string Utf8(uint32_t code) {
  const auto tail = [&](int shift) {
    return static_cast<char>(0x80 | ((code >> shift) & 0x3F));
  };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xC0 | code >> 6), tail(0)};
  if (code < 0x10000) {
    return {static_cast<char>(0xE0 | code >> 12), tail(6), tail(0)};
  }
  return {static_cast<char>(0xF0 | code >> 18), tail(12), tail(6), tail(0)};
}

int PrintUnassigned() {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>("\\p{Cn}"),
                    PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &offset, nullptr);
  if (code == nullptr) return 1;
  pcre2_match_data* match = pcre2_match_data_create_from_pattern(code, nullptr);
  auto found = nlohmann::json::array();
  for (uint32_t point = 0; point < 0x110000; ++point) {
    if (point >= 0xD800 && point < 0xE000) continue;
    const std::string text = Utf8(point);
    if (pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()),
                    text.size(), 0, 0, match, nullptr) > 0) {
      found.push_back(point);
    }
  }
  pcre2_match_data_free(match);
  pcre2_code_free(code);
  std::cout << found.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: encode_texts MODEL.gguf < texts.jsonl\n"
                 "       encode_texts --unassigned\n";
    return 2;
  }
  if (std::string_view(argv[1]) == "--unassigned") {
    return mlad::PrintUnassigned();
  }
  return mlad::Run(argv[1]);
}
