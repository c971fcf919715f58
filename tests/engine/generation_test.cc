// What one request gets, alone and among others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

#include "engine/logprobs.h"

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::Pair;

class Generation : public EngineTest {};

TEST_F(Generation, ContinuesThePromptAsTheModelDoes) {
  Start();
  for (const int64_t prompt_tokens : {1, 7, 8, 9, 16, 20, 100}) {
    SCOPED_TRACE(prompt_tokens);
    const auto request = Generate(Greedy(Prompt(prompt_tokens), 40));
    request.recorder->Await();
    EXPECT_EQ(request.recorder->ids(),
              model_->Continue(Prompt(prompt_tokens), 40));
  }
}

TEST_F(Generation, ReportsProgressTokensAndTheEndOnTheDeliveryThread) {
  Start();
  const auto request = Generate(Greedy(Prompt(20), 3));
  const FinishEvent event = request.recorder->Event();
  EXPECT_THAT(request.recorder->progress(),
              ElementsAre(Pair(8, 20), Pair(16, 20), Pair(20, 20)));
  EXPECT_EQ(request.recorder->tokens().size(), 3u);
  EXPECT_EQ(event.reason, FinishReason::kMaxTokens);
  EXPECT_EQ(event.usage.prompt_tokens, 20);
  EXPECT_EQ(event.usage.completion_tokens, 3);
  EXPECT_EQ(event.usage.cached_tokens, 0);
  EXPECT_NE(request.recorder->thread(), std::this_thread::get_id());
  engine_.reset();
  EXPECT_EQ(request.recorder->finishes(), 1);
}

TEST_F(Generation, IsTheSameAloneAndWithNeighbours) {
  Start();
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 24; ++i) {
    GenerationRequest request = Greedy(Prompt(1 + i * 5 % 41, i), 30);
    if (i % 2 == 1) {
      request.sampling.greedy = false;
      request.sampling.temperature = 2;
      request.sampling.top_p = 0.9f;
      request.sampling.seed = 100 + i;
      request.sampling.repetition_penalty = 1.2f;
    }
    requests.push_back(std::move(request));
  }
  std::vector<std::vector<int32_t>> alone;
  for (const GenerationRequest& request : requests) {
    const auto submitted = Generate(request);
    submitted.recorder->Await();
    alone.push_back(submitted.recorder->ids());
  }
  std::vector<Submitted> together;
  for (const GenerationRequest& request : requests) {
    together.push_back(Generate(request));
  }
  for (size_t i = 0; i < together.size(); ++i) {
    together[i].recorder->Await();
    EXPECT_EQ(together[i].recorder->ids(), alone[i]) << "request " << i;
  }
}

TEST_F(Generation, RunsWhenAChunkFillsAStep) {
  Start({.vocab = 260, .chunk = 8, .step_tokens = 8, .step_spans = 1});
  std::vector<Submitted> requests;
  for (int i = 0; i < 5; ++i) {
    requests.push_back(Generate(Greedy(Prompt(30, i), 20)));
  }
  for (int i = 0; i < 5; ++i) {
    requests[i].recorder->Await();
    EXPECT_EQ(requests[i].recorder->ids(), model_->Continue(Prompt(30, i), 20));
  }
}

TEST_F(Generation, SeedZeroIsChosenAndReportedAndRepeatsTheText) {
  Start();
  GenerationRequest request = Greedy(Prompt(5), 20);
  request.sampling.greedy = false;
  request.sampling.temperature = 3;
  const auto first = Generate(request);
  const auto other = Generate(request);
  request.sampling.seed = first.recorder->Event().seed;
  EXPECT_NE(request.sampling.seed, 0u);
  const auto again = Generate(request);
  again.recorder->Await();
  other.recorder->Await();
  EXPECT_EQ(again.recorder->ids(), first.recorder->ids());
  EXPECT_NE(other.recorder->ids(), first.recorder->ids());
}

TEST_F(Generation, EndsAtEosUnlessToldToIgnoreIt) {
  Start({}, Saying("Hi", 3));
  GenerationRequest request = Greedy(Prompt(3), 5);
  request.ignore_eos = false;
  const auto ends = Generate(request);
  EXPECT_EQ(ends.recorder->Event().reason, FinishReason::kEos);
  EXPECT_EQ(ends.recorder->Text(), "Hi");
  EXPECT_THAT(ends.recorder->ids(), ElementsAre('H', 'i', kEos));
  EXPECT_EQ(ends.recorder->Event().usage.completion_tokens, 3);

  request.ignore_eos = true;
  const auto goes_on = Generate(request);
  EXPECT_EQ(goes_on.recorder->Event().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(goes_on.recorder->tokens().size(), 5u);
}

TEST_F(Generation, EndsAfterAStopToken) {
  Start({}, Saying("abcdef", 2));
  GenerationRequest request = Greedy(Prompt(2), 0);
  request.stop_token_ids = {'x', 'c'};
  const auto submitted = Generate(request);
  EXPECT_EQ(submitted.recorder->Event().reason, FinishReason::kStopToken);
  EXPECT_EQ(submitted.recorder->Text(), "abc");
}

TEST_F(Generation, EndsBeforeAStopStringThatSpansTokens) {
  Start({}, Saying("one two END three", 2));
  GenerationRequest request = Greedy(Prompt(2), 0);
  request.stop = {"never", " END"};
  const auto submitted = Generate(request);
  const FinishEvent event = submitted.recorder->Event();
  EXPECT_EQ(event.reason, FinishReason::kStopString);
  EXPECT_EQ(event.stop_string, " END");
  EXPECT_EQ(submitted.recorder->Text(), "one two");
}

TEST_F(Generation, GivesHeldTextAtTheEnd) {
  Start({}, Saying("one EN", 2));
  GenerationRequest request = Greedy(Prompt(2), 0);
  request.ignore_eos = false;
  request.stop = {" END"};
  const auto submitted = Generate(request);
  const FinishEvent event = submitted.recorder->Event();
  EXPECT_EQ(submitted.recorder->StreamedText(), "one");
  EXPECT_EQ(event.text, " EN");
  EXPECT_EQ(event.reason, FinishReason::kEos);
  EXPECT_EQ(event.stop_string, "");
}

TEST_F(Generation, StopsAtTheVeryStartWithoutText) {
  Start({}, Saying("##", 2));
  GenerationRequest request = Greedy(Prompt(2), 0);
  request.stop = {"##"};
  const auto submitted = Generate(request);
  EXPECT_EQ(submitted.recorder->Event().reason, FinishReason::kStopString);
  EXPECT_EQ(submitted.recorder->Text(), "");
}

TEST_F(Generation, NeverSendsPartOfACharacter) {
  Start({}, Saying("a\xE5\xA5\xBD\xE5\xA5", 2));
  GenerationRequest request = Greedy(Prompt(2), 0);
  request.ignore_eos = false;
  const auto submitted = Generate(request);
  const FinishEvent event = submitted.recorder->Event();
  EXPECT_EQ(submitted.recorder->StreamedText(), "a\xE5\xA5\xBD");
  EXPECT_EQ(event.text, "\xEF\xBF\xBD");  // U+FFFD
}

TEST_F(Generation, EndsWhenTheContextIsFull) {
  Start();
  const auto unbounded = Generate(Greedy(Prompt(500), 0));
  EXPECT_EQ(unbounded.recorder->Event().reason, FinishReason::kContextFull);
  EXPECT_EQ(unbounded.recorder->tokens().size(), 12u);
  const auto too_many = Generate(Greedy(Prompt(500), 13));
  EXPECT_EQ(too_many.recorder->Event().reason, FinishReason::kContextFull);
  const auto exactly = Generate(Greedy(Prompt(500), 12));
  EXPECT_EQ(exactly.recorder->Event().reason, FinishReason::kMaxTokens);
}

TEST_F(Generation, ReportsLogprobsOfTheModelsDistribution) {
  Start();
  GenerationRequest request = Greedy(Prompt(11), 6);
  request.logprobs = 3;
  const auto submitted = Generate(request);
  submitted.recorder->Await();
  std::vector<int32_t> tokens = Prompt(11);
  for (const SampledToken& token : submitted.recorder->tokens()) {
    const std::vector<float> logits =
        model_->LogitsAfter(model_->RowsOf(tokens, 11));
    EXPECT_EQ(token.logprob,
              static_cast<float>(LogProbability(logits, token.id)));
    ASSERT_EQ(token.top.size(), 3u);
    EXPECT_EQ(token.top[0].id, token.id);
    tokens.push_back(token.id);
  }
}

class Scoring : public EngineTest {
 protected:
  std::shared_ptr<ScoreRecorder> Score(ScoreRequest request) {
    auto recorder = std::make_shared<ScoreRecorder>();
    const auto id = engine_->Score(std::move(request), recorder);
    EXPECT_TRUE(id.ok()) << id.status();
    return recorder;
  }
};

TEST_F(Scoring, GivesEachTokensProbabilityAfterThoseBefore) {
  Start();
  for (const int64_t count : {2, 8, 9, 10, 17, 50}) {
    SCOPED_TRACE(count);
    const std::vector<int32_t> tokens = Prompt(count);
    const auto recorder = Score({.tokens = tokens, .top_logprobs = 2});
    const absl::StatusOr<ScoreResult>& result = recorder->Await();
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_EQ(result->logprobs.size(), tokens.size() - 1);
    ASSERT_EQ(result->top.size(), tokens.size() - 1);
    const std::vector<FakeRow> rows =
        model_->RowsOf(tokens, static_cast<int64_t>(tokens.size()) - 1);
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const std::vector<float> logits =
          model_->LogitsAfter(absl::MakeConstSpan(rows).first(i + 1));
      EXPECT_EQ(result->logprobs[i],
                static_cast<float>(LogProbability(logits, tokens[i + 1])));
      ASSERT_EQ(result->top[i].size(), 2u);
      EXPECT_GE(result->top[i][0].logprob, result->top[i][1].logprob);
    }
    EXPECT_EQ(recorder->progress().back(),
              std::make_pair(count - 1, count - 1));
  }
}

TEST_F(Scoring, AgreesWithGenerationToTheBit) {
  Start();
  GenerationRequest request = Greedy(Prompt(21), 1);
  request.logprobs = 0;
  const auto generated = Generate(request);
  generated.recorder->Await();
  const SampledToken token = generated.recorder->tokens().at(0);
  std::vector<int32_t> tokens = Prompt(21);
  tokens.push_back(token.id);
  const auto scored = Score({.tokens = tokens});
  EXPECT_EQ(scored->Await()->logprobs.back(), token.logprob);
  EXPECT_TRUE(scored->Await()->top.empty());
}

TEST_F(Scoring, IsTheSameWithNeighbours) {
  Start();
  const auto alone = Score({.tokens = Prompt(60)});
  alone->Await();
  std::vector<Submitted> neighbours;
  for (int i = 0; i < 6; ++i) {
    neighbours.push_back(Generate(Greedy(Prompt(9 + i, i), 60)));
  }
  const auto among = Score({.tokens = Prompt(60)});
  EXPECT_EQ(among->Await()->logprobs, alone->Await()->logprobs);
}

TEST_F(Scoring, RefusesWhatItCannotScore) {
  Start();
  const auto refusal = [&](ScoreRequest request) {
    return engine_->Score(std::move(request), std::make_shared<ScoreRecorder>())
        .status()
        .code();
  };
  EXPECT_EQ(refusal({.tokens = {1}}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal({.tokens = {1, 260}}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal({.tokens = {1, 2}, .top_logprobs = 21}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal({.tokens = Prompt(513)}), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE(Score({.tokens = Prompt(512)})->Await().ok());
}

}  // namespace
}  // namespace mlad
