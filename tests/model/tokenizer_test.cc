#include "model/tokenizer.h"

#include <fstream>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/model/test_vocabulary.h"

namespace mlad {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int32_t kControl = 3;
constexpr int32_t kUserDefined = 4;
constexpr EncodeOptions kPlain = {.add_bos = false, .parse_special = false};
constexpr EncodeOptions kSpecial = {.add_bos = false, .parse_special = true};

std::unique_ptr<Tokenizer> Create(const GgufWriter& writer) {
  const std::vector<std::byte> bytes = writer.Build();
  auto file = GgufFile::Parse(bytes, {.header_only = true});
  EXPECT_TRUE(file.ok()) << file.status();
  auto tokenizer = Tokenizer::Create(**file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

class DemoTokenizer : public ::testing::Test {
 protected:
  void SetUp() override {
    auto file = GgufFile::Open("deploy/demo/tiny-mla-21m-q8_0.gguf",
                               {.header_only = true});
    ASSERT_TRUE(file.ok()) << file.status();
    auto tokenizer = Tokenizer::Create(**file);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(DemoTokenizer, EncodesTheRecordedCases) {
  std::ifstream stream("tests/golden/demo_tokenization.json");
  const auto golden = nlohmann::json::parse(stream);
  ASSERT_GT(golden["cases"].size(), 50U);
  for (const auto& test : golden["cases"]) {
    const auto text = test["text"].get<std::string>();
    SCOPED_TRACE(test["name"].get<std::string>());
    const auto ids = tokenizer_->Encode(text, kSpecial);
    EXPECT_EQ(ids, test["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(tokenizer_->Encode(text, kPlain),
              test["ids_without_special_parsing"].get<std::vector<int32_t>>());
    EXPECT_EQ(tokenizer_->Decode(ids, /*with_special=*/true), text);
  }
}

TEST_F(DemoTokenizer, KnowsItsIdsAndPolicies) {
  EXPECT_EQ(tokenizer_->vocab_size(), 4096);
  EXPECT_EQ(tokenizer_->bos_id(), 0);
  EXPECT_EQ(tokenizer_->eos_id(), 1);
  EXPECT_TRUE(tokenizer_->adds_bos());
  EXPECT_FALSE(tokenizer_->adds_eos());
  // EOS, and the <|EOT|> that closes the vocabulary.
  EXPECT_THAT(tokenizer_->end_of_generation_ids(), ElementsAre(1, 4095));
  EXPECT_THAT(tokenizer_->Encode(" the Lord", {}), ElementsAre(0, 263, 1130));
  EXPECT_THAT(tokenizer_->Encode("", {}), ElementsAre(0));
}

TEST_F(DemoTokenizer, LeavesControlTokensOutOfDecodedText) {
  EXPECT_EQ(tokenizer_->Decode({0, 263, 1130, 1}, false), " the Lord");
  EXPECT_EQ(tokenizer_->Decode({0, 263, 1130, 1}, true),
            "<｜begin▁of▁sentence｜> the Lord<｜end▁of▁sentence｜>");
  // User-defined tokens are text.
  EXPECT_EQ(tokenizer_->Decode({4088}, false), "<think>");
  EXPECT_EQ(tokenizer_->Decode({-1, 263, 4096, 1 << 30}, false), " the");
  EXPECT_EQ(tokenizer_->TokenBytes(4096), "");
  EXPECT_FALSE(tokenizer_->IsControl(-5));
}

TEST_F(DemoTokenizer, AnyBytesDecodeToThemselves) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  const std::vector<std::string> texts = {all,
                                          std::string("\0a\0", 3),
                                          "\xFF",
                                          "a\xC3",
                                          "\xE4\xBD",
                                          "\xED\xA0\x80x",
                                          "\xF0\x9F\x98",
                                          "ok \xC0\x80 \xF5\x80\x80\x80 end",
                                          "\x80\x80 12345"};
  for (const std::string& text : texts) {
    EXPECT_EQ(tokenizer_->Decode(tokenizer_->Encode(text, kSpecial), true),
              text);
  }
  std::mt19937 random(17);
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (size_t length = random() % 40; text.size() < length;) {
      // Half of the bytes from the lead and continuation bytes of UTF-8.
      text.push_back(
          static_cast<char>(random() % 2 ? random() : 0x80 | random()));
    }
    EXPECT_EQ(tokenizer_->Decode(tokenizer_->Encode(text, kSpecial), true),
              text);
  }
}

TEST(Tokenizer, TakesTheLongestSpecialTokenAtTheLeftmostPlace) {
  TestVocabulary vocabulary;
  const int32_t shorter = vocabulary.AddToken("<a>", kControl);
  const int32_t longer = vocabulary.AddToken("<a><b>", kUserDefined);
  const int32_t inner = vocabulary.AddToken("b>", kUserDefined);
  const auto tokenizer = Create(vocabulary.Writer());
  EXPECT_THAT(tokenizer->Encode("<a><b>", kSpecial), ElementsAre(longer));
  EXPECT_THAT(tokenizer->Encode("<a><a><b", kSpecial),
              ElementsAre(shorter, shorter, '<', 'b'));
  EXPECT_THAT(tokenizer->Encode("<b>", kSpecial), ElementsAre('<', inner));
  EXPECT_THAT(tokenizer->Encode("<a>", kPlain), ElementsAre('<', 'a', '>'));
}

TEST(Tokenizer, SpecialTokensCutWordsAndAreNotMerged) {
  TestVocabulary vocabulary;
  vocabulary.AddMerge("a", "b");
  const int32_t special = vocabulary.AddToken("!", kControl);
  // The byte '!' has a token of its own besides.
  const auto tokenizer = Create(vocabulary.Writer());
  EXPECT_THAT(tokenizer->Encode("ab", kSpecial), ElementsAre(256));
  EXPECT_THAT(tokenizer->Encode("a!b", kSpecial),
              ElementsAre('a', special, 'b'));
  EXPECT_THAT(tokenizer->Encode("a!b", kPlain), ElementsAre('a', '!', 'b'));
}

TEST(Tokenizer, FollowsTheFilesPolicies) {
  TestVocabulary vocabulary;
  const int32_t bos = vocabulary.AddToken("<s>", kControl);
  const int32_t eos = vocabulary.AddToken("</s>", kControl);
  GgufWriter writer = vocabulary.Writer();
  writer.SetUint32("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(bos));
  writer.SetUint32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(eos));
  const EncodeOptions both = {.add_eos = true};
  EXPECT_THAT(Create(writer)->Encode("x", both), ElementsAre(bos, 'x'));
  writer.SetBool("tokenizer.ggml.add_eos_token", true);
  EXPECT_THAT(Create(writer)->Encode("x", both), ElementsAre(bos, 'x', eos));
  EXPECT_THAT(Create(writer)->Encode("x", {}), ElementsAre(bos, 'x'));
  writer.SetBool("tokenizer.ggml.add_bos_token", false);
  EXPECT_THAT(Create(writer)->Encode("x", both), ElementsAre('x', eos));
}

TEST(Tokenizer, CollectsTheIdsThatEndGeneration) {
  TestVocabulary vocabulary;
  const int32_t eom = vocabulary.AddToken("<eom>", kControl);
  const int32_t turn = vocabulary.AddToken("<|EOT|>", kUserDefined);
  const int32_t eos = vocabulary.AddToken("</s>", kControl);
  GgufWriter writer = vocabulary.Writer();
  EXPECT_THAT(Create(writer)->end_of_generation_ids(), ElementsAre(turn));
  writer.SetUint32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(eos));
  writer.SetUint32("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(turn));
  writer.SetUint32("tokenizer.ggml.eom_token_id", static_cast<uint32_t>(eom));
  EXPECT_THAT(Create(writer)->end_of_generation_ids(),
              ElementsAre(eom, turn, eos));
}

TEST(Tokenizer, WithoutBosNoneIsAdded) {
  const auto tokenizer = Create(TestVocabulary().Writer());
  EXPECT_EQ(tokenizer->bos_id(), -1);
  EXPECT_EQ(tokenizer->eos_id(), -1);
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_THAT(tokenizer->Encode("", {}), IsEmpty());
}

/// deepseek-llm and deepseek-coder lack the 13 bytes that UTF-8 never has.
TEST(Tokenizer, BytesWithoutATokenBecomeTheReplacementCharacter) {
  TestVocabulary vocabulary;
  vocabulary.pre = "deepseek-llm";
  for (int byte : {0xC0, 0xC1, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC,
                   0xFD, 0xFE, 0xFF}) {
    vocabulary.tokens[static_cast<size_t>(byte)] =
        "[unused" + std::to_string(byte) + "]";
  }
  const auto tokenizer = Create(vocabulary.Writer());
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a\xFF\xC0z\xE4", {}), true),
            "a\xEF\xBF\xBD\xEF\xBF\xBDz\xE4");
}

/// Work that grew with the square of the length would run into the time limit.
TEST(Tokenizer, LongWordsTakeTheirTimeByTheirLength) {
  TestVocabulary vocabulary;
  std::string merged = "a";
  for (int doublings = 0; doublings < 6; ++doublings) {
    vocabulary.AddMerge(merged, merged);
    merged += merged;
  }
  const auto tokenizer = Create(vocabulary.Writer());
  constexpr size_t kLength = 1 << 20;
  const auto ids = tokenizer->Encode(std::string(kLength, 'a'), kSpecial);
  EXPECT_EQ(ids, std::vector<int32_t>(kLength / 64, 256 + 5));
}

TEST(Tokenizer, LongRunsTakeTheirTimeByTheirLength) {
  TestVocabulary vocabulary;
  vocabulary.AddToken("<special>", kControl);
  for (const char* pre : {"deepseek-v3", "deepseek-llm", "deepseek-coder"}) {
    vocabulary.pre = pre;
    const auto tokenizer = Create(vocabulary.Writer());
    for (const char* part :
         {" ", "\n ", "<", "1", ". ", "\x01", "\xE6\x95\xB0"}) {
      std::string text;
      while (text.size() < 1 << 18) text += part;
      text += "\xE6\x95\xB0 x";  // after the run: no rule ends with the text
      EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text, kSpecial), true),
                text);
    }
  }
}

}  // namespace
}  // namespace mlad
