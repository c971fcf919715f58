// More than the cache holds: who has to wait, and that nobody's text changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

namespace mlad {
namespace {

class Preemption : public EngineTest {
 protected:
  static EngineOptions ManyAtOnce() {
    EngineOptions options = Options();
    options.max_sequences = 64;
    return options;
  }
};

TEST_F(Preemption, SixtyFourSequencesThatNeedTwiceTheCacheAllFinish) {
  // All begin with a page each and come to 30 + 130 tokens: 5 pages; the cache
  // has half of 64 * 5.
  Start({.vocab = 260, .chunk = 8, .step_tokens = 72, .step_spans = 64}, {}, 80,
        ManyAtOnce());
  model_->Hold();
  std::vector<Submitted> requests;
  std::vector<GenerationRequest> sent;
  for (int i = 0; i < 64; ++i) {
    GenerationRequest request = Greedy(Prompt(30, i), 130);
    if (i % 2 == 1) {
      request.sampling.greedy = false;
      request.sampling.temperature = 2;
      request.sampling.seed = 1000 + i;
    }
    sent.push_back(request);
    requests.push_back(Generate(request));
  }
  model_->Release();
  std::vector<std::vector<int32_t>> together;
  for (const Submitted& request : requests) {
    EXPECT_EQ(request.recorder->Event().reason, FinishReason::kMaxTokens);
    together.push_back(request.recorder->ids());
  }
  EXPECT_GT(engine_->stats().preemptions, 0);
  for (int i = 0; i < 64; ++i) {
    if (i % 2 == 0) {
      EXPECT_EQ(together[i], model_->Continue(sent[i].prompt, 130)) << i;
    } else {
      const auto alone = Generate(sent[i]);
      alone.recorder->Await();
      EXPECT_EQ(together[i], alone.recorder->ids()) << i;
    }
  }
}

TEST_F(Preemption, TheYoungestGivesItsPages) {
  Start({}, {}, 2, ManyAtOnce());  // 4 pages
  model_->Hold();
  const auto first = Generate(Greedy(Prompt(30), 60));      // up to 3 pages
  const auto second = Generate(Greedy(Prompt(30, 5), 60));  // the same
  model_->AwaitStep();
  first.recorder->on_token = [&] { EXPECT_FALSE(second.recorder->finished()); };
  model_->Release();
  first.recorder->Await();
  second.recorder->Await();
  EXPECT_EQ(first.recorder->ids(), model_->Continue(Prompt(30), 60));
  EXPECT_EQ(second.recorder->ids(), model_->Continue(Prompt(30, 5), 60));
  EXPECT_EQ(engine_->stats().preemptions, 1);
  EXPECT_EQ(second.recorder->finishes(), 1);
}

TEST_F(Preemption, AWaitingOneThatBeganCanBeCancelled) {
  Start({}, {}, 2, ManyAtOnce());
  model_->Hold();
  const auto first = Generate(Greedy(Prompt(30), 60));
  const auto second = Generate(Greedy(Prompt(30, 5), 60));
  model_->AwaitStep();
  while (engine_->stats().preemptions == 0) {
    model_->Allow(1);
    model_->AwaitStep();
  }
  EXPECT_EQ(engine_->stats().running, 1);
  EXPECT_EQ(engine_->stats().queued, 1);
  engine_->Cancel(second.id);
  model_->Allow(1);
  const FinishEvent event = second.recorder->Event();
  EXPECT_EQ(event.reason, FinishReason::kCancelled);
  EXPECT_GT(event.usage.completion_tokens, 0);
  model_->Release();
  EXPECT_EQ(first.recorder->Event().reason, FinishReason::kMaxTokens);
}

TEST_F(Preemption, ScoresBeginAgainWithoutLoss) {
  Start({}, {}, 4, ManyAtOnce());  // 8 pages
  model_->Hold();
  const auto first = Generate(Greedy(Prompt(30), 120));
  auto score = std::make_shared<ScoreRecorder>();
  ASSERT_TRUE(engine_->Score({.tokens = Prompt(150, 3)}, score).ok());
  model_->Release();
  ASSERT_TRUE(score->Await().ok());
  first.recorder->Await();
  auto alone = std::make_shared<ScoreRecorder>();
  ASSERT_TRUE(engine_->Score({.tokens = Prompt(150, 3)}, alone).ok());
  ASSERT_TRUE(alone->Await().ok());
  EXPECT_EQ(score->Await()->logprobs, alone->Await()->logprobs);
}

TEST_F(Preemption, TakenOverFormsAreKeptWhenTheyAreComputedAgain) {
  // A second turn, with what was generated in the first; then pages get rare.
  Start({.vocab = 260, .chunk = 64, .step_tokens = 80, .step_spans = 4}, {}, 6,
        ManyAtOnce());  // 12 pages
  const std::vector<int32_t> prompt = Prompt(70);
  const auto turn = Generate(Greedy(prompt, 60));
  turn.recorder->Await();
  std::vector<int32_t> next = prompt;
  for (const int32_t id : turn.recorder->ids()) next.push_back(id);
  next.push_back(7);
  const auto alone = Generate(Greedy(next, 100));
  EXPECT_EQ(alone.recorder->Event().usage.inexact_tokens, 64);

  model_->Hold();
  const auto older = Generate(Greedy(Prompt(90, 40), 130));
  const auto preempted = Generate(Greedy(next, 100));
  model_->AwaitStep();
  model_->Release();
  older.recorder->Await();
  preempted.recorder->Await();
  EXPECT_EQ(engine_->stats().preemptions, 1);
  EXPECT_EQ(preempted.recorder->ids(), alone.recorder->ids());
}

}  // namespace
}  // namespace mlad
