#include "model/chat_template.h"

#include <fstream>
#include <map>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/model/test_vocabulary.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kFolder[] = "tests/golden/chat/";

const std::map<std::string, ChatStyle>& Styles() {
  static const auto* styles = new std::map<std::string, ChatStyle>{
      {"v2.jinja", ChatStyle::kV2},
      {"v2_5.jinja", ChatStyle::kV2_5},
      {"v3.jinja", ChatStyle::kV3},
      {"v3_0324.jinja", ChatStyle::kV3_0324},
      {"v3_1.jinja", ChatStyle::kV3_1},
      {"v3_1_terminus.jinja", ChatStyle::kV3_1Terminus},
      {"r1.jinja", ChatStyle::kR1},
      {"r1_think.jinja", ChatStyle::kR1Think},
      {"r1_distill.jinja", ChatStyle::kR1Distill},
      {"r1_0528.jinja", ChatStyle::kR1_0528},
  };
  return *styles;
}

std::string ReadFile(const std::string& name) {
  std::ifstream stream(kFolder + name);
  EXPECT_TRUE(stream.is_open()) << name;
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

class ChatTemplate : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = Open("deploy/demo/tiny-mla-21m-q8_0.gguf");
    auto tokenizer = Tokenizer::Create(*file_);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  static std::unique_ptr<GgufFile> Open(const std::string& path) {
    auto file = GgufFile::Open(path, {.header_only = true});
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }

  ChatStyle Detect(std::string_view text) {
    const auto style = DetectChatStyle(text, *tokenizer_);
    EXPECT_TRUE(style.ok()) << style.status();
    return style.value_or(ChatStyle::kV2);
  }

  std::unique_ptr<GgufFile> file_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(ChatTemplate, TellsThePublishedTemplatesApart) {
  for (const auto& [name, style] : Styles()) {
    EXPECT_EQ(ChatStyleName(Detect(ReadFile(name))), ChatStyleName(style))
        << name;
  }
}

TEST_F(ChatTemplate, LayoutAndQuotesDoNotMatter) {
  for (const auto& [name, style] : Styles()) {
    std::string text;
    for (char c : ReadFile(name)) {
      if (c == '{') text += '\n';
      text += c == '\'' ? '"' : c;
      if (c == '}') text += "\n  ";
    }
    // The tags of blocks stay whole.
    for (const auto& [apart, whole] :
         std::map<std::string, std::string>{{"{\n{", "{{"}, {"}\n  }", "}}"}}) {
      for (size_t at; (at = text.find(apart)) != std::string::npos;) {
        text.replace(at, apart.size(), whole);
      }
    }
    EXPECT_EQ(ChatStyleName(Detect(text)), ChatStyleName(style)) << name;
  }
}

TEST_F(ChatTemplate, RendersAsJinjaDoes) {
  std::map<std::string, std::vector<ChatMessage>> conversations;
  for (const auto& row :
       nlohmann::json::parse(ReadFile("conversations.json"))) {
    std::vector<ChatMessage>& messages =
        conversations[row["name"].get<std::string>()];
    for (const auto& message : row["messages"]) {
      messages.push_back({message["role"], message["content"]});
    }
  }
  std::map<std::string, ChatStyle> styles = Styles();
  const auto demo = file_->GetString("tokenizer.chat_template");
  ASSERT_TRUE(demo.ok()) << demo.status();
  styles["demo"] = Detect(*demo);
  const auto golden = nlohmann::json::parse(ReadFile("rendered.json"));
  EXPECT_EQ(golden.size(), conversations.size() * styles.size());
  for (const auto& row : golden) {
    const auto name = row["template"].get<std::string>();
    const auto conversation = row["conversation"].get<std::string>();
    ASSERT_TRUE(styles.contains(name)) << name;
    const auto text =
        RenderChat(styles[name], conversations[conversation], *tokenizer_);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(*text, row["rendered"].get<std::string>())
        << name << ", " << conversation;
  }
}

TEST_F(ChatTemplate, RefusesTemplatesOfOtherModels) {
  for (const char* text : {
           "{% for m in messages %}<|im_start|>{{ m.role }}{% endfor %}",
           "{{ '<｜User｜>' }}",  // half of it
           "{{ 'User: ' + message['content'] }}",
           // A rule that no published template has.
           "{{'<｜User｜>'}}{{'<｜Assistant｜>'}}{% set system_prompt = 1 %}",
           "{{'<｜User｜>'}}{{'<｜Assistant｜>'}}{{ x.split('</think>')[0] }}",
           "{{'<｜User｜>'}}{{'<｜Assistant｜><think>'}}",
       }) {
    const auto style = DetectChatStyle(text, *tokenizer_);
    EXPECT_EQ(style.status().code(), absl::StatusCode::kUnimplemented) << text;
    EXPECT_THAT(std::string(style.status().message()),
                HasSubstr("write the prompt yourself"));
  }
}

TEST_F(ChatTemplate, WithoutATemplateTheRoleTokensDecide) {
  EXPECT_EQ(Detect(""), ChatStyle::kV3);
  const std::vector<std::byte> bytes = TestVocabulary().Writer().Build();
  const auto file = GgufFile::Parse(bytes, {.header_only = true});
  ASSERT_TRUE(file.ok()) << file.status();
  const auto tokenizer = Tokenizer::Create(**file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ(DetectChatStyle("", **tokenizer).status().code(),
            absl::StatusCode::kUnimplemented);
  // No BOS and no EOS: no text of them.
  EXPECT_EQ(*RenderChat(ChatStyle::kV2, {{"assistant", "a"}}, **tokenizer),
            "Assistant: aAssistant:");
}

TEST_F(ChatTemplate, RefusesWhatIsNoConversation) {
  for (const auto& [name, style] : Styles()) {
    absl::Status status = RenderChat(style, {}, *tokenizer_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    status =
        RenderChat(style, {{"user", "a"}, {"tool", "b"}}, *tokenizer_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), StartsWith("The role 'tool'"));
  }
}

TEST_F(ChatTemplate, RendersTextThatEncodesToTheRoleTokens) {
  const auto text =
      RenderChat(ChatStyle::kV3, {{"user", "What is a whale?"}}, *tokenizer_);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto ids = tokenizer_->Encode(*text, {.add_bos = false});
  EXPECT_EQ(ids,
            (std::vector<int32_t>{0, 4093, 422, 337, 261, 1286, 66, 4094}));
}

}  // namespace
}  // namespace mlad
