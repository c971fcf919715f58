// What requests share of the cache, and that nobody can tell from the text.
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

namespace mlad {
namespace {

class PrefixReuse : public EngineTest {
 protected:
  /// Runs a request to its end.
  FinishEvent Run(const GenerationRequest& request, std::vector<int32_t>& ids) {
    const auto submitted = Generate(request);
    const FinishEvent event = submitted.recorder->Event();
    ids = submitted.recorder->ids();
    return event;
  }
  static std::vector<int32_t> Joined(std::vector<int32_t> a,
                                     const std::vector<int32_t>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }

  std::vector<int32_t> ids_;
};

TEST_F(PrefixReuse, TheSamePromptIsReadOnce) {
  Start();
  for (const int64_t tokens : {31, 32, 33, 64, 65, 100, 200}) {
    SCOPED_TRACE(tokens);
    const GenerationRequest request =
        Greedy(Prompt(tokens, static_cast<int32_t>(tokens)), 10);
    FinishEvent event = Run(request, ids_);
    EXPECT_EQ(event.usage.cached_tokens, 0);
    event = Run(request, ids_);
    // The last token is computed again for its logits, with its page.
    EXPECT_EQ(event.usage.cached_tokens, (tokens - 1) / 32 * 32);
    EXPECT_EQ(event.usage.inexact_tokens, 0);
    EXPECT_EQ(ids_, model_->Continue(request.prompt, 10));
  }
}

TEST_F(PrefixReuse, PromptsShareTheirBeginning) {
  Start();
  const std::vector<int32_t> system = Prompt(150);
  Run(Greedy(Joined(system, Prompt(40, 3)), 5), ids_);
  const std::vector<int32_t> other = Joined(system, Prompt(70, 9));
  const FinishEvent event = Run(Greedy(other, 20), ids_);
  EXPECT_EQ(event.usage.cached_tokens, 128);
  EXPECT_EQ(event.usage.inexact_tokens, 0);
  EXPECT_EQ(ids_, model_->Continue(other, 20));
  EXPECT_EQ(engine_->stats().cached_tokens, 128);
}

TEST_F(PrefixReuse, TheRestOfAChunkIsComputedInTheChunksForm) {
  // Pages end within chunks.
  Start({.vocab = 260, .chunk = 20, .step_tokens = 24, .step_spans = 4});
  const std::vector<int32_t> system = Prompt(100);
  Run(Greedy(Joined(system, Prompt(40, 3)), 5), ids_);
  const std::vector<int32_t> other = Joined(system, Prompt(70, 9));
  const FinishEvent event = Run(Greedy(other, 20), ids_);
  EXPECT_EQ(event.usage.cached_tokens, 96);
  EXPECT_EQ(ids_, model_->Continue(other, 20));
}

TEST_F(PrefixReuse, TheNextTurnTakesOverWhatWasGenerated) {
  Start({.vocab = 260, .chunk = 64, .step_tokens = 80, .step_spans = 4});
  const std::vector<int32_t> first = Prompt(80);
  Run(Greedy(first, 100), ids_);
  const std::vector<int32_t> turn = Joined(Joined(first, ids_), Prompt(50, 17));
  // 64 expanded tokens are exact; 80 + 99 are in the cache.
  const GenerationRequest request = Greedy(turn, 20);
  FinishEvent event = Run(request, ids_);
  EXPECT_EQ(event.usage.cached_tokens, 160);
  EXPECT_EQ(event.usage.inexact_tokens, 96);
  EXPECT_NE(ids_, model_->Continue(turn, 20)) << "the fake's bits differ";
  const std::vector<int32_t> inexact = ids_;

  GenerationRequest exact = request;
  exact.exact_reuse = true;
  event = Run(exact, ids_);
  EXPECT_EQ(event.usage.cached_tokens, 64);
  EXPECT_EQ(event.usage.inexact_tokens, 0);
  EXPECT_EQ(ids_, model_->Continue(turn, 20));

  // Now all of it is there as a prompt.
  event = Run(exact, ids_);
  EXPECT_EQ(event.usage.cached_tokens, 224);
  EXPECT_EQ(ids_, model_->Continue(turn, 20));
}

TEST_F(PrefixReuse, RequestsThatComeTogetherShareTheWork) {
  EngineOptions options = Options();
  options.max_sequences = 8;
  Start({.vocab = 260, .chunk = 32, .step_tokens = 40, .step_spans = 8}, {},
        200, options);
  model_->Hold();
  const std::vector<int32_t> system = Prompt(320);
  std::vector<Submitted> requests;
  for (int i = 0; i < 8; ++i) {
    requests.push_back(Generate(Greedy(Joined(system, Prompt(9, i)), 10)));
  }
  model_->AwaitStep();
  model_->Release();
  for (int i = 0; i < 8; ++i) {
    requests[i].recorder->Await();
    EXPECT_EQ(requests[i].recorder->ids(),
              model_->Continue(Joined(system, Prompt(9, i)), 10));
  }
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.cached_tokens, 7 * 320);
  EXPECT_EQ(stats.prompt_tokens, 320 + 8 * 9);
}

TEST_F(PrefixReuse, WhatIsUnusedForLongestMakesRoom) {
  Start({}, {}, 4);  // 8 pages
  const std::vector<int32_t> kept = Prompt(66, 5);
  Run(Greedy(kept, 2), ids_);
  for (int i = 0; i < 6; ++i) {
    Run(Greedy(Prompt(40, 10 + i), 2), ids_);
    // Its two pages are used again and again.
    EXPECT_EQ(Run(Greedy(kept, 2), ids_).usage.cached_tokens, 64);
  }
  EXPECT_EQ(Run(Greedy(Prompt(40, 10), 2), ids_).usage.cached_tokens, 0);
  EXPECT_GT(engine_->stats().evicted_pages, 0);
  const std::vector<int64_t> cached = engine_->stats().cached_pages;
  EXPECT_EQ(cached.size(), static_cast<size_t>(kNodes));
  EXPECT_EQ(std::accumulate(cached.begin(), cached.end(), int64_t{0}),
            UsedPages());
}

TEST_F(PrefixReuse, ScoresReadAllAndLeaveTheirPages) {
  Start();
  const std::vector<int32_t> text = Prompt(101);
  ScoreResult first;
  for (int run = 0; run < 2; ++run) {
    auto recorder = std::make_shared<ScoreRecorder>();
    ASSERT_TRUE(engine_->Score({.tokens = text}, recorder).ok());
    ASSERT_TRUE(recorder->Await().ok());
    EXPECT_EQ(recorder->Await()->logprobs.size(), 100u);
    if (run == 0) first = *recorder->Await();
    EXPECT_EQ(recorder->Await()->logprobs, first.logprobs);
  }
  const std::vector<int32_t> prompt(text.begin(), text.end() - 1);
  EXPECT_EQ(Run(Greedy(prompt, 5), ids_).usage.cached_tokens, 96);
  EXPECT_EQ(ids_, model_->Continue(prompt, 5));
}

}  // namespace
}  // namespace mlad
