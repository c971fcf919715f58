#include <random>

#include "gtest/gtest.h"
#include "tests/model/test_vocabulary.h"

#include "model/tokenizer.h"
#include "model/utf8.h"

namespace mlad {
namespace {

/// A token a byte, and a control token with id 256.
class StreamingDetokenizerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    TestVocabulary vocabulary;
    vocabulary.AddToken("<end>", 3);
    const std::vector<std::byte> bytes = vocabulary.Writer().Build();
    auto file = GgufFile::Parse(bytes, {.header_only = true});
    ASSERT_TRUE(file.ok()) << file.status();
    auto tokenizer = Tokenizer::Create(**file);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(StreamingDetokenizerTest, HoldsBackUntilTheCharacterIsWhole) {
  StreamingDetokenizer stream(*tokenizer_);
  EXPECT_EQ(stream.Add('a'), "a");
  EXPECT_EQ(stream.Add(0xF0), "");
  EXPECT_EQ(stream.Add(0x9F), "");
  EXPECT_EQ(stream.Add(256), "");  // control tokens are no text
  EXPECT_EQ(stream.Add(0x98), "");
  EXPECT_EQ(stream.Add(0x80), "\xF0\x9F\x98\x80");
  EXPECT_EQ(stream.Flush(), "");
}

TEST_F(StreamingDetokenizerTest, ReplacesWhatCannotBecomeACharacter) {
  StreamingDetokenizer stream(*tokenizer_);
  EXPECT_EQ(stream.Add(0x80), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.Add(0xE4), "");
  EXPECT_EQ(stream.Add('x'), "\xEF\xBF\xBDx");
  EXPECT_EQ(stream.Add(0xC3), "");
  EXPECT_EQ(stream.Add(0xC3), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.Add(0xA9), "\xC3\xA9");
  EXPECT_EQ(stream.Add(0xED), "");
  EXPECT_EQ(stream.Add(0xA0), "\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
}

TEST_F(StreamingDetokenizerTest, FlushGivesUpOnTheRest) {
  StreamingDetokenizer stream(*tokenizer_);
  EXPECT_EQ(stream.Add(0xE4), "");
  EXPECT_EQ(stream.Add(0xBD), "");
  EXPECT_EQ(stream.Flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.Flush(), "");
  EXPECT_EQ(stream.Add('b'), "b");
}

TEST_F(StreamingDetokenizerTest, AddsUpToTheWholeTextWithReplacements) {
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    StreamingDetokenizer stream(*tokenizer_);
    std::string bytes;
    std::string text;
    for (int i = 0; i < 12; ++i) {
      const auto id = static_cast<int32_t>(
          random() % 3 == 0 ? random() % 256 : 0x80 + random() % 128);
      bytes.push_back(static_cast<char>(id));
      const std::string part = stream.Add(id);
      EXPECT_EQ(ReplaceInvalidUtf8(part), part);  // valid by itself
      text += part;
    }
    text += stream.Flush();
    EXPECT_EQ(text, ReplaceInvalidUtf8(bytes));
  }
}

}  // namespace
}  // namespace mlad
