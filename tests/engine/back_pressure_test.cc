// Requests whose clients do not read: they get no further, and cost nobody
// anything.
#include <atomic>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

#include "engine/event_delivery.h"

namespace mlad {
namespace {

class BackPressure : public EngineTest {
 protected:
  static EngineOptions AtOnce(int64_t sequences) {
    EngineOptions options = Options();
    options.max_sequences = sequences;
    return options;
  }

  /// Lets the engine take steps until `count` requests are paused.
  void AwaitPaused(int64_t count) {
    while (engine_->stats().paused != count) {
      std::this_thread::yield();
    }
  }
};

TEST_F(BackPressure, APausedRequestWaitsWhileOthersGoOn) {
  Start({}, {}, 200, AtOnce(4));
  model_->Hold();
  const auto slow = Generate(Greedy(Prompt(20), 60));
  const auto quick = Generate(Greedy(Prompt(20, 5), 60));
  model_->AwaitStep();
  model_->Allow(10);
  model_->AwaitStep();
  engine_->SetPaused(slow.id, true);
  model_->Release();
  quick.recorder->Await();
  AwaitPaused(1);
  const size_t tokens = slow.recorder->tokens().size();
  EXPECT_LT(tokens, 30u);
  EXPECT_FALSE(slow.recorder->finished());
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.queued, 0);
  const int64_t steps = model_->steps();

  engine_->SetPaused(slow.id, false);
  EXPECT_EQ(slow.recorder->Event().reason, FinishReason::kMaxTokens);
  EXPECT_EQ(model_->steps(), steps + 60 - static_cast<int64_t>(tokens));
  EXPECT_EQ(slow.recorder->ids(), model_->Continue(Prompt(20), 60));
  EXPECT_EQ(quick.recorder->ids(), model_->Continue(Prompt(20, 5), 60));
  EXPECT_EQ(engine_->stats().paused, 0);
  EXPECT_EQ(engine_->stats().preemptions, 0);
}

TEST_F(BackPressure, APausedRequestKeepsNoPlace) {
  Start({}, {}, 200, AtOnce(1));
  model_->Hold();
  const auto slow = Generate(Greedy(Prompt(20), 60));
  const auto quick = Generate(Greedy(Prompt(20, 5), 10));
  model_->AwaitStep();
  engine_->SetPaused(slow.id, true);
  model_->Release();
  quick.recorder->Await();
  EXPECT_FALSE(slow.recorder->finished());
  engine_->SetPaused(slow.id, false);
  slow.recorder->Await();
  EXPECT_EQ(slow.recorder->ids(), model_->Continue(Prompt(20), 60));
}

TEST_F(BackPressure, ThePagesOfAPausedRequestAreFreeForOthers) {
  Start({}, {}, 2, AtOnce(4));  // 4 pages
  model_->Hold();
  const auto slow = Generate(Greedy(Prompt(60), 40));  // 2 pages, later 4
  model_->AwaitStep();
  model_->Allow(10);
  model_->AwaitStep();
  engine_->SetPaused(slow.id, true);
  model_->Release();
  const auto other = Generate(Greedy(Prompt(100, 5), 20));  // all of them
  other.recorder->Await();
  EXPECT_FALSE(slow.recorder->finished());
  EXPECT_EQ(engine_->stats().preemptions, 1);
  engine_->SetPaused(slow.id, false);
  slow.recorder->Await();
  EXPECT_EQ(slow.recorder->ids(), model_->Continue(Prompt(60), 40));
}

TEST_F(BackPressure, ARunningRequestTakesPagesThatNobodyComputesWith) {
  Start({}, {}, 2, AtOnce(4));
  model_->Hold();
  const auto slow = Generate(Greedy(Prompt(30), 60));  // comes first
  const auto other = Generate(Greedy(Prompt(30, 5), 60));
  model_->AwaitStep();
  engine_->SetPaused(slow.id, true);
  model_->Release();
  other.recorder->Await();
  EXPECT_EQ(other.recorder->ids(), model_->Continue(Prompt(30, 5), 60));
  engine_->SetPaused(slow.id, false);
  slow.recorder->Await();
  EXPECT_EQ(slow.recorder->ids(), model_->Continue(Prompt(30), 60));
}

TEST_F(BackPressure, AWaitingOneCanBePaused) {
  Start({}, {}, 200, AtOnce(1));
  model_->Hold();
  const auto first = Generate(Greedy(Prompt(5), 5));
  model_->AwaitStep();
  const auto second = Generate(Greedy(Prompt(6), 5));
  engine_->SetPaused(second.id, true);
  const auto third = Generate(Greedy(Prompt(7), 5));
  model_->Release();
  first.recorder->Await();
  third.recorder->Await();
  EXPECT_FALSE(second.recorder->finished());
  engine_->SetPaused(second.id, false);
  EXPECT_EQ(second.recorder->Event().reason, FinishReason::kMaxTokens);
}

TEST_F(BackPressure, CancelledWhilePausedItsPagesAreFreeAtOnce) {
  Start({}, {}, 200, AtOnce(4));
  model_->Hold();
  const auto slow = Generate(Greedy(Prompt(100), 60));
  const auto other = Generate(Greedy(Prompt(5), 60));
  model_->AwaitStep();
  engine_->SetPaused(slow.id, true);
  model_->Allow(1);
  model_->AwaitStep();
  EXPECT_EQ(engine_->stats().paused, 1);
  engine_->Cancel(slow.id);
  model_->Allow(1);
  model_->AwaitStep();  // one step later
  EXPECT_EQ(engine_->stats().paused, 0);
  int64_t held = UsedPages();
  for (const int64_t cached : engine_->stats().cached_pages) held -= cached;
  EXPECT_EQ(held, 1);  // the other's
  EXPECT_EQ(slow.recorder->Event().reason, FinishReason::kCancelled);
  model_->Release();
  other.recorder->Await();
}

TEST_F(BackPressure, DeadlinesHoldForPausedRequests) {
  Start();
  model_->Hold();
  GenerationRequest request = Greedy(Prompt(5), 60);
  request.deadline = clock_.Now() + absl::Seconds(1);
  const auto slow = Generate(request);
  model_->AwaitStep();
  engine_->SetPaused(slow.id, true);
  model_->Release();
  AwaitPaused(1);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(slow.recorder->Event().reason, FinishReason::kDeadline);
}

TEST_F(BackPressure, DrainingEndsPausedRequestsAtItsDeadline) {
  Start();
  model_->Hold();
  const auto slow = Generate(Greedy(Prompt(5), 60));
  model_->AwaitStep();
  engine_->SetPaused(slow.id, true);
  model_->Release();
  engine_->Drain(absl::Now());
  EXPECT_EQ(slow.recorder->Event().reason, FinishReason::kCancelled);
}

TEST_F(BackPressure, UnknownRequestsAreIgnored) {
  Start();
  engine_->SetPaused(77, true);
  const auto request = Generate(Greedy(Prompt(5), 3));
  request.recorder->Await();
  engine_->SetPaused(request.id, true);
  Generate(Greedy(Prompt(5), 3)).recorder->Await();
}

TEST_F(BackPressure, WhateverIsPausedWhenTheTextsStayTheSame) {
  Start({.vocab = 260, .chunk = 8, .step_tokens = 24, .step_spans = 8}, {}, 12,
        AtOnce(6));
  constexpr int kRequests = 24;
  std::vector<Submitted> requests;
  requests.reserve(kRequests);
  for (int i = 0; i < kRequests; ++i) {
    requests.push_back(Generate(Greedy(Prompt(10 + 3 * i, i), 40)));
  }
  std::atomic<bool> done = false;
  const auto meddle = [&](unsigned seed) {
    std::minstd_rand random(seed);
    while (!done) {
      engine_->SetPaused(requests[random() % kRequests].id, random() % 2 == 0);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    for (const Submitted& request : requests) {
      engine_->SetPaused(request.id, false);
    }
  };
  std::thread one(meddle, 1);
  std::thread two(meddle, 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  done = true;
  one.join();
  two.join();
  for (int i = 0; i < kRequests; ++i) {
    EXPECT_EQ(requests[i].recorder->Event().reason, FinishReason::kMaxTokens);
    EXPECT_EQ(requests[i].recorder->ids(),
              model_->Continue(Prompt(10 + 3 * i, i), 40));
  }
}

TEST(EventDelivery, WhoeverPostsWaitsForRoom) {
  std::atomic<size_t> posted = 0;
  std::atomic<size_t> delivered = 0;
  std::mutex gate;
  gate.lock();
  constexpr size_t kEvents = 3 * EventDelivery::kMaxWaiting;
  {
    EventDelivery delivery;
    std::thread poster([&] {
      for (size_t i = 0; i < kEvents; ++i) {
        delivery.Post([&, i] {
          if (i == 0) const std::lock_guard wait(gate);
          EXPECT_EQ(delivered++, i);
        });
        ++posted;
      }
    });
    // The first events, in delivery, and as many as may wait.
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_LE(posted, 2 * EventDelivery::kMaxWaiting);
    gate.unlock();
    poster.join();
  }
  EXPECT_EQ(delivered, kEvents);
}

}  // namespace
}  // namespace mlad
