// Cancelling, deadlines, draining, and what the statistics say afterwards.
#include <future>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

namespace mlad {
namespace {

class Ending : public EngineTest {
 protected:
  std::shared_ptr<ScoreRecorder> Score(ScoreRequest request, RequestId& id) {
    auto recorder = std::make_shared<ScoreRecorder>();
    id = *engine_->Score(std::move(request), recorder);
    return recorder;
  }

  /// Returns once the engine refuses new requests for being drained.
  void AwaitDraining() {
    while (Refusal({}).code() != absl::StatusCode::kUnavailable) {
      std::this_thread::yield();
    }
  }

  /// One place, which a long request has taken: all others wait.
  Submitted Occupy() {
    EngineOptions options = Options();
    options.max_sequences = 1;
    Start({}, {}, 200, options);
    model_->Hold();
    const Submitted first = Generate(Greedy(Prompt(3), 400));
    model_->AwaitStep();
    return first;
  }
};

TEST_F(Ending, CancelWhileWaiting) {
  const Submitted first = Occupy();
  const auto waiting = Generate(Greedy(Prompt(3), 5));
  engine_->Cancel(waiting.id);
  model_->Allow(1);
  EXPECT_EQ(waiting.recorder->Event().reason, FinishReason::kCancelled);
  EXPECT_TRUE(waiting.recorder->tokens().empty());
  EXPECT_TRUE(waiting.recorder->progress().empty());
  EXPECT_FALSE(first.recorder->finished());
}

TEST_F(Ending, CancelWhileThePromptIsRead) {
  Start();
  model_->Hold();
  const auto request = Generate(Greedy(Prompt(100), 5));
  model_->AwaitStep();
  model_->Allow(2);
  model_->AwaitStep();
  engine_->Cancel(request.id);
  model_->Allow(1);  // the step that was under way is the last
  const FinishEvent event = request.recorder->Event();
  EXPECT_EQ(event.reason, FinishReason::kCancelled);
  EXPECT_EQ(event.usage.completion_tokens, 0);
  EXPECT_EQ(request.recorder->progress().size(), 3u);
  EXPECT_EQ(model_->steps(), 3);
  EXPECT_EQ(UsedPages(), 0);
}

TEST_F(Ending, CancelWhileGeneratingKeepsWhatWasSaid) {
  Start({}, Saying("abcdefghij", 3));
  model_->Hold();
  GenerationRequest greedy = Greedy(Prompt(3), 100);
  greedy.stop = {"efX"};
  const auto request = Generate(greedy);
  model_->AwaitStep();
  model_->Allow(5);
  model_->AwaitStep();
  engine_->Cancel(request.id);
  model_->Allow(1);
  const FinishEvent event = request.recorder->Event();
  EXPECT_EQ(event.reason, FinishReason::kCancelled);
  EXPECT_EQ(event.usage.completion_tokens, 6);
  EXPECT_EQ(request.recorder->Text(), "abcdef");
  EXPECT_EQ(event.text, "ef");
}

TEST_F(Ending, CancelAScore) {
  Start();
  model_->Hold();
  RequestId id = 0;
  const auto score = Score({.tokens = Prompt(100)}, id);
  model_->AwaitStep();
  engine_->Cancel(id);
  model_->Allow(1);
  EXPECT_EQ(score->Await().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(Ending, CancelFromAnObserver) {
  Start();
  model_->Hold();
  auto recorder = std::make_shared<GenerationRecorder>();
  RequestId id = 0;
  std::promise<void> cancelled;
  recorder->on_token = [&, first = true]() mutable {
    if (!std::exchange(first, false)) return;
    engine_->Cancel(id);
    cancelled.set_value();
  };
  id = *engine_->Generate(Greedy(Prompt(3), 500), recorder);
  model_->Allow(1);
  cancelled.get_future().wait();
  model_->Release();
  EXPECT_EQ(recorder->Event().reason, FinishReason::kCancelled);
}

TEST_F(Ending, CancelOfUnknownOrFinishedIsIgnored) {
  Start();
  const auto request = Generate(Greedy(Prompt(3), 2));
  EXPECT_EQ(request.recorder->Event().reason, FinishReason::kMaxTokens);
  engine_->Cancel(request.id);
  engine_->Cancel(12345);
  Generate(Greedy(Prompt(3), 2)).recorder->Await();
  EXPECT_EQ(request.recorder->finishes(), 1);
  EXPECT_EQ(engine_->stats().cancelled, 0);
}

TEST_F(Ending, DeadlineWhileWaiting) {
  const Submitted first = Occupy();
  GenerationRequest request = Greedy(Prompt(3), 5);
  request.deadline = clock_.Now() + absl::Seconds(1);
  const auto waiting = Generate(request);
  model_->Allow(1);
  model_->AwaitStep();
  EXPECT_FALSE(waiting.recorder->finished());
  clock_.Advance(absl::Seconds(2));
  model_->Allow(1);
  const FinishEvent event = waiting.recorder->Event();
  EXPECT_EQ(event.reason, FinishReason::kDeadline);
  EXPECT_EQ(event.timings.queued, absl::Seconds(2));
  EXPECT_EQ(event.timings.prompt, absl::ZeroDuration());
  EXPECT_FALSE(first.recorder->finished());
}

TEST_F(Ending, DeadlineWhileRunning) {
  Start();
  model_->Hold();
  GenerationRequest request = Greedy(Prompt(3), 500);
  request.deadline = clock_.Now() + absl::Seconds(1);
  const auto generation = Generate(request);
  model_->AwaitStep();
  RequestId id = 0;
  const auto score = Score(
      {.tokens = Prompt(100), .deadline = clock_.Now() + absl::Seconds(1)}, id);
  model_->Allow(2);
  model_->AwaitStep();
  clock_.Advance(absl::Seconds(1));
  model_->Allow(1);
  EXPECT_EQ(generation.recorder->Event().reason, FinishReason::kDeadline);
  EXPECT_EQ(generation.recorder->tokens().size(), 3u);
  EXPECT_EQ(score->Await().status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(engine_->stats().failed, 2);
}

TEST_F(Ending, TimingsSplitTheTime) {
  const Submitted first = Occupy();
  const auto request = Generate(Greedy(Prompt(10), 3));
  clock_.Advance(absl::Seconds(1));
  engine_->Cancel(first.id);
  model_->Allow(1);
  first.recorder->Await();
  model_->AwaitStep();  // its first chunk
  clock_.Advance(absl::Seconds(2));
  model_->Allow(1);
  model_->AwaitStep();  // its tail, which gives the first token
  clock_.Advance(absl::Seconds(3));
  model_->Allow(1);
  model_->AwaitStep();
  clock_.Advance(absl::Seconds(4));
  model_->Release();
  const Timings timings = request.recorder->Event().timings;
  EXPECT_EQ(timings.queued, absl::Seconds(1));
  EXPECT_EQ(timings.prompt, absl::Seconds(5));
  EXPECT_EQ(timings.generation, absl::Seconds(4));
  EXPECT_EQ(engine_->stats().step_time, absl::Seconds(10));
}

TEST_F(Ending, DrainLetsRunningAndWaitingRequestsFinish) {
  const Submitted first = Occupy();
  const auto second = Generate(Greedy(Prompt(3), 5));
  std::thread drainer([&] { engine_->Drain(absl::InfiniteFuture()); });
  AwaitDraining();
  model_->Release();
  drainer.join();
  EXPECT_EQ(first.recorder->finishes(), 1);
  EXPECT_EQ(second.recorder->finishes(), 1);
  EXPECT_EQ(first.recorder->Event().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(second.recorder->Event().reason, FinishReason::kMaxTokens);
}

TEST_F(Ending, DrainCancelsWhatIsLeftAtItsDeadline) {
  const Submitted first = Occupy();
  const auto second = Generate(Greedy(Prompt(3), 5));
  std::thread drainer([&] { engine_->Drain(absl::Now()); });
  AwaitDraining();
  while (!first.recorder->finished()) {  // long before its 400 tokens
    model_->Allow(1);
    absl::SleepFor(absl::Milliseconds(1));
  }
  drainer.join();
  EXPECT_EQ(first.recorder->Event().reason, FinishReason::kCancelled);
  EXPECT_EQ(second.recorder->Event().reason, FinishReason::kCancelled);
  EXPECT_EQ(engine_->stats().cancelled, 2);
  EXPECT_EQ(Refusal(Greedy(Prompt(3), 5)).code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(Ending, DrainOfAnIdleEngineReturnsAtOnce) {
  Start();
  engine_->Drain(absl::InfiniteFuture());
}

TEST_F(Ending, TheEnginesEndCancelsEverything) {
  const Submitted first = Occupy();
  const auto second = Generate(Greedy(Prompt(3), 5));
  RequestId id = 0;
  const auto score = Score({.tokens = Prompt(9)}, id);
  model_->Release();
  engine_.reset();
  EXPECT_EQ(first.recorder->finishes(), 1);
  EXPECT_EQ(second.recorder->finishes(), 1);
  EXPECT_EQ(score->finishes(), 1);
}

TEST_F(Ending, StatsCountTokensStepsAndEnds) {
  Start();
  Generate(Greedy(Prompt(20), 5)).recorder->Await();
  RequestId id = 0;
  Score({.tokens = Prompt(9)}, id)->Await();
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.requests, 2);
  EXPECT_EQ(stats.failed, 0);
  EXPECT_EQ(stats.cancelled, 0);
  EXPECT_EQ(stats.prompt_tokens, 20 + 8);
  EXPECT_EQ(stats.completion_tokens, 5);
  EXPECT_EQ(stats.steps, 3 + 4 + 1);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.queued, 0);
}

TEST_F(Ending, RatesAreTokensOverTimeInSteps) {
  Start();
  model_->Hold();
  const auto request = Generate(Greedy(Prompt(8), 4));
  for (int step = 0; step < 4; ++step) {
    model_->AwaitStep();
    clock_.Advance(absl::Seconds(1));
    model_->Allow(1);
    if (step < 3) request.recorder->AwaitTokens(step + 1);
  }
  request.recorder->Await();
  EXPECT_DOUBLE_EQ(engine_->stats().tokens_per_s, 1);
  EXPECT_DOUBLE_EQ(engine_->stats().prompt_tokens_per_s, 2);
}

}  // namespace
}  // namespace mlad
