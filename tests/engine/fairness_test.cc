// Who begins next, and who gives way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/engine/engine_fixture.h"

#include "base/retry_hint.h"

namespace mlad {
namespace {

class Fairness : public EngineTest {
 protected:
  static EngineOptions OneAtATime() {
    EngineOptions options = Options();
    options.max_sequences = 1;
    return options;
  }

  static GenerationRequest Of(const std::string& client, int priority = 0) {
    GenerationRequest request = Greedy(Prompt(5), 3);
    request.client = client;
    request.priority = priority;
    return request;
  }

  /// Appends `name` to order_ when the request gets its first token.
  Submitted Follow(GenerationRequest request, const std::string& name) {
    auto recorder = std::make_shared<GenerationRecorder>();
    recorder->on_token = [this, name] {
      if (order_.empty() || order_.back() != name) order_.push_back(name);
    };
    const auto id = engine_->Generate(std::move(request), recorder);
    EXPECT_TRUE(id.ok()) << id.status();
    followed_.push_back(recorder);
    return {recorder, id.value_or(0)};
  }
  void AwaitAll() {
    model_->Release();
    for (const auto& recorder : followed_) recorder->Await();
  }

  std::vector<std::string> order_;  // of the delivery thread, until all ended
  std::vector<std::shared_ptr<GenerationRecorder>> followed_;
};

TEST_F(Fairness, TheHigherPriorityBeginsFirst) {
  Start({}, {}, 200, OneAtATime());
  model_->Hold();
  Follow(Of("a"), "running");
  model_->AwaitStep();
  Follow(Of("a", -1), "low");
  Follow(Of("a"), "normal 1");
  Follow(Of("a"), "normal 2");
  Follow(Of("a", kMaxPriority), "high");
  AwaitAll();
  EXPECT_THAT(order_, testing::ElementsAre("running", "high", "normal 1",
                                           "normal 2", "low"));
}

TEST_F(Fairness, TheClientWithTheFewestRunningGoesNext) {
  EngineOptions options = Options();
  options.max_sequences = 3;
  Start({}, {}, 200, options);
  model_->Hold();
  std::vector<Submitted> requests;
  for (int i = 0; i < 3; ++i) {
    requests.push_back(Follow(Of("hog"), absl::StrCat("hog ", i)));
  }
  model_->AwaitStep();
  for (int i = 3; i < 9; ++i) {
    requests.push_back(Follow(Of("hog"), absl::StrCat("hog ", i)));
  }
  const Submitted modest = Follow(Of("modest"), "modest");
  // The first of the running ones to end makes room for the latecomer.
  modest.recorder->on_token = [&] {
    EXPECT_FALSE(requests[3].recorder->finished());
    EXPECT_TRUE(requests[3].recorder->tokens().empty());
  };
  engine_->Cancel(requests[0].id);
  model_->Allow(1);
  model_->AwaitStep();
  EXPECT_EQ(engine_->stats().clients, 2);
  AwaitAll();
  EXPECT_EQ(modest.recorder->tokens().size(), 3u);
}

TEST_F(Fairness, TheLowestPriorityGivesItsPages) {
  EngineOptions options = Options();
  options.max_sequences = 8;
  Start({}, {}, 2, options);  // 4 pages
  model_->Hold();
  GenerationRequest low = Greedy(Prompt(30), 60);  // up to 3 pages
  low.priority = -3;
  const auto older = Generate(low);
  const auto younger = Generate(Greedy(Prompt(30, 5), 60));
  model_->AwaitStep();
  younger.recorder->on_token = [&] {
    EXPECT_FALSE(older.recorder->finished());
  };
  model_->Release();
  older.recorder->Await();
  EXPECT_EQ(engine_->stats().preemptions, 1);
  EXPECT_EQ(older.recorder->ids(), model_->Continue(Prompt(30), 60));
  EXPECT_EQ(younger.recorder->ids(), model_->Continue(Prompt(30, 5), 60));
}

TEST_F(Fairness, WhoeverWaitsTooLongIsDropped) {
  Start({}, {}, 200, OneAtATime());
  model_->Hold();
  const auto running = Generate(Of("a"));
  model_->AwaitStep();
  GenerationRequest urgent = Of("a");
  urgent.deadline = clock_.Now() + absl::Seconds(5);
  const auto waiting = Generate(urgent);
  clock_.Advance(absl::Seconds(5));
  model_->Allow(1);
  const FinishEvent event = waiting.recorder->Event();
  EXPECT_EQ(event.reason, FinishReason::kDeadline);
  EXPECT_EQ(event.usage.completion_tokens, 0);
  EXPECT_FALSE(running.recorder->finished());
  EXPECT_EQ(engine_->stats().expired, 1);
  model_->Release();
  EXPECT_EQ(running.recorder->Event().reason, FinishReason::kMaxTokens);
}

TEST_F(Fairness, WhatCannotBeginInTimeIsRefusedAtOnce) {
  Start({}, {}, 200, OneAtATime());
  model_->on_step = [this](auto, auto) { clock_.Advance(absl::Seconds(10)); };
  Generate(Of("a")).recorder->Await();  // 30 s: a prompt and two tokens
  EXPECT_EQ(engine_->stats().expected_wait, absl::ZeroDuration());
  model_->Hold();
  const auto running = Generate(Of("a"));
  model_->AwaitStep();
  EXPECT_EQ(engine_->stats().expected_wait, absl::Seconds(30));
  GenerationRequest urgent = Of("a");
  urgent.deadline = clock_.Now() + absl::Seconds(29);
  const absl::Status status = Refusal(urgent);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(RetryHintOf(status), absl::Seconds(30));
  urgent.deadline = clock_.Now() + absl::Seconds(31);
  urgent.priority = 1;  // it goes first, but nobody makes room for it
  const auto in_time = Generate(urgent);
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.expired, 1);
  EXPECT_EQ(stats.failed, 1);
  EXPECT_EQ(stats.refused, 0);
  model_->Release();
  running.recorder->Await();
  in_time.recorder->Await();
}

TEST_F(Fairness, AClientsShareLeavesPlacesToOthers) {
  EngineOptions options = Options();
  options.max_sequences = 2;
  options.max_queued = 2;
  options.client_share = 0.5;
  Start({}, {}, 200, options);
  model_->Hold();
  const auto first = Generate(Of("a"));
  const auto second = Generate(Of("a"));
  const absl::Status status = Refusal(Of("a"));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(RetryHintOf(status).has_value());
  EXPECT_EQ(engine_->stats().refused, 1);
  const auto other = Generate(Of("b"));
  engine_->Cancel(first.id);
  model_->Release();
  for (const Submitted& request : {first, second, other}) {
    request.recorder->Await();
  }
  Generate(Of("a")).recorder->Await();
  options.client_share = 0;
  EXPECT_EQ(Engine::Create(*model_, *tokenizer_, *pages_, clock_, options)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(Fairness, ATokenLimitEndsTheAnswerAndReservesNothing) {
  Start({}, {}, 2);  // 128 tokens
  GenerationRequest request = Greedy(Prompt(100), 0);
  request.token_limit = 9;
  auto answer = Generate(request);
  EXPECT_EQ(answer.recorder->Event().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(answer.recorder->tokens().size(), 9u);
  request.token_limit = 400;
  answer = Generate(request);
  EXPECT_EQ(answer.recorder->Event().reason, FinishReason::kContextFull);
  EXPECT_EQ(answer.recorder->tokens().size(), 28u);
}

}  // namespace
}  // namespace mlad
