// The engine's sign of life, which a watchdog reads.
#include "tests/engine/engine_fixture.h"

namespace mlad {
namespace {

using RoundTime = EngineTest;

TEST_F(RoundTime, OfAnIdleEngineIsZeroHoweverLongItIdles) {
  Start();
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(engine_->stats().round_time, absl::ZeroDuration());
}

TEST_F(RoundTime, OfAStepThatDoesNotEndGrows) {
  Start();
  model_->Hold();
  const Submitted request = Generate(Greedy(Prompt(4), 3));
  model_->AwaitStep();
  clock_.Advance(absl::Seconds(7));
  EXPECT_EQ(engine_->stats().round_time, absl::Seconds(7));
  clock_.Advance(absl::Seconds(7));
  EXPECT_EQ(engine_->stats().round_time, absl::Seconds(14));
}

TEST_F(RoundTime, BeginsAnewWithEachStep) {
  Start();
  model_->Hold();
  const Submitted request = Generate(Greedy(Prompt(4), 3));
  model_->AwaitStep();
  clock_.Advance(absl::Seconds(7));
  model_->Allow(1);
  request.recorder->AwaitTokens(1);
  model_->AwaitStep();
  EXPECT_EQ(engine_->stats().round_time, absl::ZeroDuration());
  model_->Release();
  request.recorder->Await();
}

}  // namespace
}  // namespace mlad
