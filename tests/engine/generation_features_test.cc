// Grammars, log-probabilities of prompts, biases and thoughts, on an engine
// with a fake model.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/engine/engine_fixture.h"

namespace mlad {
namespace {

using testing::HasSubstr;

/// Remembers what the prompt's log-probabilities were, in the order of arrival.
class PromptRecorder final : public GenerationObserver,
                             public Recorder<FinishEvent> {
 public:
  void OnPromptProgress(int64_t /*done*/, int64_t /*total*/) override {}
  void OnPromptLogprobs(int64_t first, const ScoreResult& result) override {
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(first, static_cast<int64_t>(scores_.logprobs.size()) + 1);
    EXPECT_FALSE(has_tokens_);
    scores_.logprobs.insert(scores_.logprobs.end(), result.logprobs.begin(),
                            result.logprobs.end());
    scores_.top.insert(scores_.top.end(), result.top.begin(), result.top.end());
  }
  void OnToken(const TokenEvent& event) override {
    const std::lock_guard lock(mutex_);
    has_tokens_ = true;
    text_ += event.text;
    reasoning_ += event.reasoning;
  }
  void OnFinish(const absl::StatusOr<FinishEvent>& result) override {
    if (result.ok()) {
      text_ += result->text;
      reasoning_ += result->reasoning;
    }
    Finish(result);
  }

  // After Await().
  const ScoreResult& scores() const { return scores_; }
  const std::string& text() const { return text_; }
  const std::string& reasoning() const { return reasoning_; }

 private:
  ScoreResult scores_;
  bool has_tokens_ = false;
  std::string text_, reasoning_;
};

class GenerationFeatures : public EngineTest {
 protected:
  static std::vector<int32_t> Bytes(std::string_view text) {
    std::vector<int32_t> ids;
    for (const char byte : text) ids.push_back(static_cast<uint8_t>(byte));
    return ids;
  }
  static GenerationRequest Constrained(OutputFormat::Kind kind,
                                       std::string text, uint64_t seed) {
    GenerationRequest request;
    request.prompt = Prompt(20);
    request.max_tokens = 400;
    request.sampling.seed = seed;
    request.format = {kind, std::move(text)};
    return request;
  }
  std::shared_ptr<PromptRecorder> Record(GenerationRequest request) {
    auto recorder = std::make_shared<PromptRecorder>();
    const auto id = engine_->Generate(std::move(request), recorder);
    EXPECT_TRUE(id.ok()) << id.status();
    return recorder;
  }
};

constexpr char kSchema[] = R"({"type": "object", "properties": {
    "name": {"type": "string", "maxLength": 6},
    "kind": {"enum": ["cat", "dog"]},
    "ages": {"type": "array", "items": {"type": "integer", "minimum": 0,
             "maximum": 99}, "maxItems": 3}},
    "required": ["name", "kind"]})";

TEST_F(GenerationFeatures, ASchemaHoldsWhateverTheModelSays) {
  Start();
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto sent =
        Generate(Constrained(OutputFormat::Kind::kJsonSchema, kSchema, seed));
    const std::string text = sent.recorder->Text();
    EXPECT_EQ(sent.recorder->Event().reason, FinishReason::kEos) << text;
    const auto json = nlohmann::json::parse(text, nullptr, false);
    ASSERT_TRUE(json.is_object()) << text;
    EXPECT_TRUE(json["name"].is_string());
    EXPECT_TRUE(json["kind"] == "cat" || json["kind"] == "dog");
    for (const auto& [key, value] : json.items()) {
      EXPECT_TRUE(key == "name" || key == "kind" || key == "ages") << text;
    }
    if (json.contains("ages")) {
      EXPECT_LE(json["ages"].size(), 3);
      for (const auto& age : json["ages"]) {
        EXPECT_TRUE(age.is_number_integer() && age >= 0 && age <= 99) << text;
      }
    }
  }
}

TEST_F(GenerationFeatures, ASeedRepeatsItsTextWhateverTheNeighbours) {
  Start();
  std::vector<std::string> alone;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    alone.push_back(
        Generate(Constrained(OutputFormat::Kind::kJsonObject, "", seed))
            .recorder->Text());
  }
  std::vector<Submitted> together;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    together.push_back(
        Generate(Constrained(OutputFormat::Kind::kJsonObject, "", seed)));
    Generate(Greedy(Prompt(30, static_cast<int32_t>(seed)), 50));
  }
  for (size_t i = 0; i < alone.size(); ++i) {
    EXPECT_EQ(together[i].recorder->Text(), alone[i]);
  }
}

TEST_F(GenerationFeatures, AGrammarEndsTheText) {
  Start();
  const auto sent = Generate(Constrained(OutputFormat::Kind::kGrammar,
                                         "root ::= \"yes\" | \"no\"", 3));
  EXPECT_THAT(sent.recorder->Text(), testing::AnyOf("yes", "no"));
  EXPECT_EQ(sent.recorder->Event().reason, FinishReason::kEos);
  EXPECT_EQ(sent.recorder->ids().back(), kEos);
}

TEST_F(GenerationFeatures, AVocabularyWithoutAnEndEndsWithTheGrammar) {
  const std::vector<std::byte> bytes = TestVocabulary().Writer().Build();
  auto file = GgufFile::Parse(bytes, {});
  ASSERT_TRUE(file.ok());
  auto tokenizer = Tokenizer::Create(**file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  ASSERT_TRUE((*tokenizer)->end_of_generation_ids().empty());
  tokenizer_ = *std::move(tokenizer);
  pages_ = std::make_unique<PageAllocator>(std::vector<int64_t>(kNodes, 200));
  FakeModelShape shape;
  shape.vocab = 256;
  model_ = std::make_unique<FakeModel>(shape, nullptr);
  auto engine =
      Engine::Create(*model_, *tokenizer_, *pages_, clock_, Options());
  ASSERT_TRUE(engine.ok());
  engine_ = *std::move(engine);
  const auto sent = Generate(
      Constrained(OutputFormat::Kind::kGrammar, "root ::= \"abc\"", 3));
  EXPECT_EQ(sent.recorder->Text(), "abc");
  EXPECT_EQ(sent.recorder->Event().reason, FinishReason::kGrammarEnd);
  EXPECT_EQ(sent.recorder->Event().usage.completion_tokens, 3);
}

TEST_F(GenerationFeatures, WrongFormatsAreRefusedAtOnce) {
  Start();
  using Kind = OutputFormat::Kind;
  EXPECT_THAT(Refusal(Constrained(Kind::kGrammar, "root ::= x", 1)).message(),
              HasSubstr("'x'"));
  EXPECT_THAT(
      Refusal(Constrained(Kind::kJsonSchema, R"({"not":{}})", 1)).message(),
      HasSubstr("'not'"));
  EXPECT_THAT(Refusal(Constrained(Kind::kGrammar, std::string(1 << 18, ' '), 1))
                  .message(),
              HasSubstr("at most 131072"));
  GenerationRequest endless = Constrained(Kind::kJsonObject, "", 1);
  endless.ignore_eos = true;
  EXPECT_EQ(Refusal(endless).code(), absl::StatusCode::kInvalidArgument);
  GenerationRequest biased = Greedy(Prompt(3), 1);
  biased.sampling.logit_bias = {{260, 1}};
  EXPECT_THAT(Refusal(biased).message(), HasSubstr("260"));
}

TEST_F(GenerationFeatures, ABiasMovesTheChoice) {
  Start();
  GenerationRequest request = Greedy(Prompt(5), 4);
  request.sampling.logit_bias = {{77, 100}};
  const auto sent = Generate(request);
  sent.recorder->Await();
  EXPECT_THAT(sent.recorder->ids(), testing::ElementsAre(77, 77, 77, 77));
}

TEST_F(GenerationFeatures, LogProbabilitiesOfThePromptAreThoseOfScore) {
  Start();
  const std::vector<int32_t> prompt = Prompt(45);
  GenerationRequest request = Greedy(prompt, 3);
  request.prompt_logprobs = 4;
  const auto generated = Record(request);
  EXPECT_TRUE(generated->Await().ok());

  auto score = std::make_shared<ScoreRecorder>();
  ASSERT_TRUE(
      engine_->Score({.tokens = prompt, .top_logprobs = 4}, score).ok());
  const absl::StatusOr<ScoreResult>& scored = score->Await();
  ASSERT_TRUE(scored.ok());
  // A prompt's last token may be computed in another form than a score's.
  ASSERT_EQ(generated->scores().logprobs.size(), prompt.size() - 1);
  ASSERT_EQ(generated->scores().top.size(), prompt.size() - 1);
  const size_t chunks = 44 / 8 * 8;
  for (size_t i = 0; i < chunks; ++i) {
    EXPECT_EQ(generated->scores().logprobs[i], scored->logprobs[i]) << i;
    EXPECT_EQ(generated->scores().top[i][3].id, scored->top[i][3].id) << i;
  }
  // And again, though the cache could have the prompt.
  const auto again = Record(request);
  EXPECT_TRUE(again->Await().ok());
  EXPECT_EQ(again->scores().logprobs, generated->scores().logprobs);
}

TEST_F(GenerationFeatures, AThoughtIsSplitFromTheAnswer) {
  Start({}, Saying("<think>\nstop? no</think>\n\nyes stop here", 6));
  GenerationRequest request = Greedy(Prompt(6), 100);
  request.ignore_eos = false;
  request.split_reasoning = true;
  request.stop = {"stop"};
  const auto sent = Record(request);
  EXPECT_EQ(sent->Await()->reason, FinishReason::kStopString);
  EXPECT_EQ(sent->reasoning(), "stop? no");
  EXPECT_EQ(sent->text(), "yes ");
}

TEST_F(GenerationFeatures, AGrammarBeginsBehindTheThought) {
  const std::string prompt = "Say it.<think>\n";
  Start({}, [&](absl::Span<const int32_t> tokens) -> int32_t {
    const std::string thought = "free!</think>";
    const size_t said = tokens.size() - prompt.size();
    if (tokens.size() < prompt.size() || said >= thought.size()) return 'x';
    return static_cast<uint8_t>(thought[said]);
  });
  GenerationRequest request = Greedy(Bytes(prompt), 100);
  request.ignore_eos = false;
  request.split_reasoning = true;
  request.format = {OutputFormat::Kind::kGrammar, "root ::= [0-9]{3}"};
  const auto sent = Record(request);
  EXPECT_EQ(sent->Await()->reason, FinishReason::kEos);
  EXPECT_EQ(sent->reasoning(), "free!");
  EXPECT_THAT(sent->text(), testing::MatchesRegex("[0-9][0-9][0-9]"));
}

}  // namespace
}  // namespace mlad
