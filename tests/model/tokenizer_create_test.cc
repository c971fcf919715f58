// Vocabularies that are wrong: a sentence each, no crash.
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/test_vocabulary.h"

#include "model/tokenizer.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;

absl::Status CreateStatus(const GgufWriter& writer) {
  const std::vector<std::byte> bytes = writer.Build();
  auto file = GgufFile::Parse(bytes, {.header_only = true});
  EXPECT_TRUE(file.ok()) << file.status();
  return Tokenizer::Create(**file).status();
}

void ExpectInvalid(const absl::Status& status, const std::string& part) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(TokenizerCreate, NamesAnUnknownTokenizerOrPreTokenizer) {
  TestVocabulary vocabulary;
  vocabulary.pre = "deepseek-r1-qwen";
  absl::Status status = CreateStatus(vocabulary.Writer());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'deepseek-r1-qwen'"));
  vocabulary.model = "llama";
  status = CreateStatus(vocabulary.Writer());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'llama'"));
}

TEST(TokenizerCreate, NamesTheMissingKey) {
  for (const char* key :
       {"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens",
        "tokenizer.ggml.token_type", "tokenizer.ggml.merges"}) {
    GgufWriter writer = TestVocabulary().Writer();
    writer.Remove(key);
    ExpectInvalid(CreateStatus(writer), key);
  }
}

TEST(TokenizerCreate, NamesTheKeyOfAnotherType) {
  for (const char* key :
       {"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens",
        "tokenizer.ggml.token_type", "tokenizer.ggml.merges",
        "tokenizer.ggml.add_bos_token"}) {
    GgufWriter writer = TestVocabulary().Writer();
    writer.SetUint32(key, 1);
    ExpectInvalid(CreateStatus(writer), key);
  }
  GgufWriter writer = TestVocabulary().Writer();
  writer.SetInt32s("tokenizer.ggml.tokens", {1, 2});
  ExpectInvalid(CreateStatus(writer), "tokenizer.ggml.tokens");
  writer = TestVocabulary().Writer();
  writer.SetStrings("tokenizer.ggml.token_type", {"1"});
  ExpectInvalid(CreateStatus(writer), "tokenizer.ggml.token_type");
}

struct Damage {
  const char* name;
  std::function<void(TestVocabulary&)> apply;
  const char* said;
};

TEST(TokenizerCreate, RefusesDamagedVocabularies) {
  const std::vector<Damage> damages = {
      {"more tokens than kinds", [](auto& v) { v.tokens.push_back("zz"); },
       "257 entries"},
      {"no tokens",
       [](auto& v) {
         v.tokens.clear();
         v.kinds.clear();
       },
       "no token for the byte 0x00"},
      {"a token twice", [](auto& v) { v.AddToken("a", 1); },
       "Tokens 97 and 256"},
      {"a special token twice",
       [](auto& v) {
         v.AddToken("<x>", 3);
         v.AddToken("<x>", 4);
       },
       "'<x>' is in the vocabulary twice"},
      {"kind 0", [](auto& v) { v.AddToken("zz", 0); }, "unknown type 0"},
      {"kind 7", [](auto& v) { v.AddToken("zz", 7); }, "unknown type 7"},
      {"kind -1", [](auto& v) { v.AddToken("zz", -1); }, "unknown type -1"},
      {"a raw space", [](auto& v) { v.AddToken("z z", 1); }, "Token 256"},
      {"a character above the alphabet",
       [](auto& v) { v.AddToken("z\xC5\x84", 1); }, "Token 256"},
      {"a character of three bytes",
       [](auto& v) { v.AddToken("\xE4\xBD\xA0", 1); }, "Token 256"},
      {"bytes that are not UTF-8", [](auto& v) { v.AddToken("\xC3", 1); },
       "Token 256"},
      {"no token for a byte", [](auto& v) { v.tokens[0x41] = "zz"; }, "0x41"},
      {"a merge of one token", [](auto& v) { v.merges.push_back("ab"); },
       "Merge 0"},
      {"a merge of three tokens", [](auto& v) { v.merges.push_back("a b c"); },
       "Merge 0"},
      {"an empty merge", [](auto& v) { v.merges.push_back(""); }, "Merge 0"},
      {"a merge with nothing", [](auto& v) { v.merges.push_back("a "); },
       "Merge 0"},
      {"a merge of an unknown token",
       [](auto& v) {
         v.AddToken("zza", 1);
         v.merges.push_back("zz a");
       },
       "Merge 0"},
      {"a merge into an unknown token",
       [](auto& v) {
         v.AddMerge("a", "b");
         v.merges.push_back("b a");
       },
       "Merge 1"},
      {"a merge twice",
       [](auto& v) {
         v.AddMerge("a", "b");
         v.AddMerge("a", "b");
       },
       "is there twice"},
      {"a merge outside the alphabet",
       [](auto& v) { v.merges.push_back("\xC3\x28 \xFF"); },
       "outside the byte-level alphabet"},
  };
  for (const Damage& damage : damages) {
    SCOPED_TRACE(damage.name);
    TestVocabulary vocabulary;
    damage.apply(vocabulary);
    ExpectInvalid(CreateStatus(vocabulary.Writer()), damage.said);
  }
}

TEST(TokenizerCreate, RefusesIdsOutsideTheVocabulary) {
  for (const char* key :
       {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    GgufWriter writer = TestVocabulary().Writer();
    writer.SetUint32(key, 256);
    ExpectInvalid(CreateStatus(writer), key);
    writer.SetInt32(key, -2);
    ExpectInvalid(CreateStatus(writer), key);
    writer.SetUint32(key, 255);
    EXPECT_TRUE(CreateStatus(writer).ok());
  }
}

TEST(TokenizerCreate, RefusesToAddATokenThatTheFileDoesNotName) {
  GgufWriter writer = TestVocabulary().Writer();
  writer.SetBool("tokenizer.ggml.add_bos_token", true);
  ExpectInvalid(CreateStatus(writer), "bos_token_id is missing");
  writer.SetBool("tokenizer.ggml.add_bos_token", false);
  writer.SetBool("tokenizer.ggml.add_eos_token", true);
  ExpectInvalid(CreateStatus(writer), "eos_token_id is missing");
}

TEST(TokenizerCreate, ToleratesEmptyTokensAndUnusedRepeats) {
  TestVocabulary vocabulary;
  vocabulary.AddToken("", 1);
  vocabulary.AddToken("", 3);
  vocabulary.AddToken("[PAD]", 5);
  vocabulary.AddToken("[PAD]", 5);
  EXPECT_TRUE(CreateStatus(vocabulary.Writer()).ok());
}

}  // namespace
}  // namespace mlad
