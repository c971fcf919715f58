#include "model/pre_tokenizer.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mlad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string_view> Split(std::string_view name,
                                    std::string_view text) {
  static auto* cutters = new std::vector<PreTokenizer>();
  auto cutter = PreTokenizer::Create(name);
  EXPECT_TRUE(cutter.ok()) << cutter.status();
  cutters->clear();
  cutters->push_back(*std::move(cutter));
  return cutters->back().Split(text);
}

TEST(PreTokenizer, V3CutsDigitsInThreesAndKeepsPunctuationWithWords) {
  EXPECT_THAT(Split("deepseek-v3", "In 1492: .net it's x==1\n\n  y  "),
              ElementsAre("In", " ", "149", "2", ":", " .", "net", " it", "'s",
                          " x", "==", "1", "\n\n", " ", " y", "  "));
  EXPECT_THAT(Split("deepseek-v3", "中文かなabc "),
              ElementsAre("中文かな", "abc", " "));
  EXPECT_THAT(Split("deepseek-v3", ""), IsEmpty());
}

TEST(PreTokenizer, LlmCutsLinesAndDigitsApart) {
  EXPECT_THAT(Split("deepseek-llm", "a b\n\nc12  d!? 中文  \n"),
              ElementsAre("a", " b", "\n", "\n", "c", "1", "2", " ", " d", "!?",
                          " ", "中文", "  ", "\n"));
}

/// Text of scripts from U+0800 up is cut from the space before it.
TEST(PreTokenizer, CoderTakesAllLettersForWords) {
  EXPECT_THAT(Split("deepseek-coder", "x = \u03B1\u0436, \u091C\u093C9\n"),
              ElementsAre("x", " =", " \u03B1\u0436", ",", " ", "\u091C",
                          "\u093C", "9", "\n"));
}

TEST(PreTokenizer, BytesThatAreNotUtf8AreOnePiece) {
  for (const char* name : {"deepseek-v3", "deepseek-llm", "deepseek-coder"}) {
    EXPECT_THAT(
        Split(name, "ab\xFF\xC3\x80\xFE cd\xE4\xBD"),
        ElementsAre("ab", "\xFF", "\xC3\x80", "\xFE", " cd", "\xE4\xBD"));
  }
}

/// U+0085 and U+3000 are white space, U+180E and U+FEFF are not.
TEST(PreTokenizer, WhiteSpaceIsThatOfUnicode) {
  EXPECT_THAT(Split("deepseek-v3", "\xC2\x85\xE3\x80\x80"),
              ElementsAre("\xC2\x85\xE3\x80\x80"));
  EXPECT_THAT(Split("deepseek-v3", "\xE1\xA0\x8E\xEF\xBB\xBF"),
              ElementsAre("\xE1\xA0\x8E\xEF\xBB\xBF"));
  EXPECT_THAT(Split("deepseek-coder", "\xE1\xA0\x8Eg"),
              ElementsAre("\xE1\xA0\x8E", "g"));
  EXPECT_THAT(Split("deepseek-coder", "\xC2\x85g"), ElementsAre("\xC2\x85g"));
}

TEST(PreTokenizer, NamesWhatItDoesNotKnow) {
  for (const char* name : {"", "gpt-2", "deepseek-r1-qwen", "deepseek-v3 "}) {
    const auto status = PreTokenizer::Create(name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("'" + std::string(name) + "'"));
  }
}

}  // namespace
}  // namespace mlad
