// How long running generations wait while prompts are read: on a clock that
// moves by what steps would cost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

namespace mlad {
namespace {

class TokenGap : public EngineTest {
 protected:
  static constexpr FakeModelShape kShape = {.vocab = 260,
                                            .chunk = 512,
                                            .step_tokens = 576,
                                            .step_spans = 64,
                                            .layers = 12};

  /// Steps cost as on some real machine: a share for reading the weights, for
  /// each row and, in the expanded form, for each position before.
  absl::Duration Cost(absl::Span<const StepSpan> spans, WorkRange layers) {
    absl::Duration cost = absl::Milliseconds(30);
    for (const StepSpan& span : spans) {
      cost += static_cast<int64_t>(span.tokens.size()) * absl::Milliseconds(2);
      if (span.expanded) cost += span.start_position * absl::Microseconds(30);
    }
    return cost * layers.size() / kShape.layers;
  }

  void Start(absl::Duration bound) {
    EngineOptions options;
    options.context_tokens = 10'000;
    options.max_token_gap = bound;
    EngineTest::Start(kShape, {}, 400, options);
    model_->on_step = [this](absl::Span<const StepSpan> spans,
                             WorkRange layers) {
      clock_.Advance(Cost(spans, layers));
    };
  }

  struct Outcome {
    EngineStats stats;
    std::vector<int32_t> running_ids;
    std::vector<int32_t> reader_ids;
  };
  /// Four generations, and a prompt of 4,096 tokens and a tail that comes
  /// after a while.
  Outcome ReadBeside() {
    model_->Hold();
    std::vector<Submitted> running;
    for (int i = 0; i < 4; ++i) {
      running.push_back(Generate(Greedy(Prompt(20, i), 600)));
    }
    model_->AwaitStep();
    model_->Allow(50);
    model_->AwaitStep();
    const auto reader = Generate(Greedy(Prompt(4096 + 77, 99), 3));
    model_->Release();
    Outcome outcome;
    reader.recorder->Await();
    outcome.reader_ids = reader.recorder->ids();
    outcome.stats = engine_->stats();
    EXPECT_FALSE(running[0].recorder->finished()) << "too few tokens to tell";
    for (const Submitted& one : running) one.recorder->Await();
    outcome.running_ids = running[0].recorder->ids();
    return outcome;
  }
};

TEST_F(TokenGap, StaysUnderItsBoundWhileAPromptIsRead) {
  Start(absl::Milliseconds(400));
  const Outcome outcome = ReadBeside();
  EXPECT_LE(outcome.stats.token_gaps.p99, absl::Milliseconds(400));
  EXPECT_LE(outcome.stats.token_gaps.max, absl::Milliseconds(600));
  EXPECT_GT(outcome.stats.token_gaps.p50, absl::ZeroDuration());
  EXPECT_LE(outcome.stats.late_tokens, 4);
  EXPECT_EQ(outcome.reader_ids, model_->Continue(Prompt(4096 + 77, 99), 3));
  EXPECT_EQ(outcome.running_ids, model_->Continue(Prompt(20, 0), 600));
}

TEST_F(TokenGap, WithoutABoundGenerationsWaitForWholeChunks) {
  Start(absl::InfiniteDuration());
  const Outcome outcome = ReadBeside();
  EXPECT_GE(outcome.stats.token_gaps.max, absl::Seconds(1));
  EXPECT_EQ(outcome.stats.late_tokens, 0);
  EXPECT_EQ(outcome.reader_ids, model_->Continue(Prompt(4096 + 77, 99), 3));
}

TEST_F(TokenGap, APromptBySelfIsReadInWholeChunks) {
  Start(absl::Milliseconds(400));
  const auto reader = Generate(Greedy(Prompt(4096, 99), 3));
  reader.recorder->Await();
  EXPECT_EQ(model_->steps(), 8 + 2);
}

TEST_F(TokenGap, ACancelledReaderLeavesNothingBehind) {
  Start(absl::Milliseconds(100));
  model_->Hold();
  const auto running = Generate(Greedy(Prompt(20), 100));
  model_->AwaitStep();
  model_->Allow(5);
  model_->AwaitStep();
  const auto reader = Generate(Greedy(Prompt(2048, 99), 3));
  model_->Allow(4);
  model_->AwaitStep();
  engine_->Cancel(reader.id);
  const auto other = Generate(Greedy(Prompt(1024, 77), 3));
  model_->Release();
  EXPECT_EQ(reader.recorder->Event().reason, FinishReason::kCancelled);
  other.recorder->Await();
  EXPECT_EQ(other.recorder->ids(), model_->Continue(Prompt(1024, 77), 3));
  running.recorder->Await();
  EXPECT_EQ(running.recorder->ids(), model_->Continue(Prompt(20), 100));
}

}  // namespace
}  // namespace mlad
