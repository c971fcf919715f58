// Who is let in, who waits, who is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/engine_fixture.h"

#include "engine/sequence_pages.h"

namespace mlad {
namespace {

using testing::HasSubstr;

class Admission : public EngineTest {};

TEST_F(Admission, RefusesEachBadFieldByName) {
  Start();
  struct Bad {
    std::string named;
    std::function<void(GenerationRequest&)> change;
  };
  const std::vector<Bad> cases = {
      {"prompt", [](auto& r) { r.prompt = {}; }},
      {"Prompt token 1",
       [](auto& r) {
         r.prompt = {1, 260};
       }},
      {"-1", [](auto& r) { r.prompt = {-1}; }},
      {"temperature", [](auto& r) { r.sampling.temperature = -1; }},
      {"max_tokens", [](auto& r) { r.max_tokens = -1; }},
      {"stop string",
       [](auto& r) {
         r.stop = {"ok", ""};
       }},
      {"stop string", [](auto& r) { r.stop = {std::string(257, 'x')}; }},
      {"stop strings", [](auto& r) { r.stop.assign(17, "x"); }},
      {"UTF-8", [](auto& r) { r.stop = {"\x85z"}; }},
      {"Stop token", [](auto& r) { r.stop_token_ids = {999}; }},
      {"stop token", [](auto& r) { r.stop_token_ids.assign(65, 1); }},
      {"logprobs", [](auto& r) { r.logprobs = 21; }},
      {"logprobs", [](auto& r) { r.logprobs = -2; }},
      {"priority", [](auto& r) { r.priority = 11; }},
      {"priority", [](auto& r) { r.priority = -11; }},
  };
  for (const Bad& bad : cases) {
    GenerationRequest request = Greedy(Prompt(3), 4);
    bad.change(request);
    const absl::Status status = Refusal(request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.named;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.named));
  }
  EXPECT_EQ(engine_->stats().failed, static_cast<int64_t>(cases.size()));
  EXPECT_EQ(engine_->stats().requests, static_cast<int64_t>(cases.size()));
}

TEST_F(Admission, RefusesAPromptThatLeavesTheContextNoRoom) {
  Start();
  const absl::Status status = Refusal(Greedy(Prompt(512), 1));
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("512"));
  Generate(Greedy(Prompt(511), 1)).recorder->Await();
}

TEST_F(Admission, RefusesWhatTheWholeCacheCannotHold) {
  // 2 nodes of 2 pages: 128 tokens, a quarter of the context.
  Start({}, {}, 2);
  const absl::Status status = Refusal(Greedy(Prompt(100), 29));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("128"));
  EXPECT_EQ(Refusal(Greedy(Prompt(128), 0)).code(),
            absl::StatusCode::kResourceExhausted);
  const auto fits = Generate(Greedy(Prompt(100), 28));
  EXPECT_EQ(fits.recorder->Event().reason, FinishReason::kMaxTokens);
  const auto unbounded = Generate(Greedy(Prompt(100), 0));
  EXPECT_EQ(unbounded.recorder->Event().reason, FinishReason::kContextFull);
  EXPECT_EQ(unbounded.recorder->tokens().size(), 28u);
}

TEST_F(Admission, RefusesWhenTheQueueIsFull) {
  EngineOptions options = Options();
  options.max_sequences = 2;
  options.max_queued = 3;
  Start({}, {}, 200, options);
  model_->Hold();
  std::vector<Submitted> requests;
  for (int i = 0; i < 5; ++i) {
    requests.push_back(Generate(Greedy(Prompt(3, i), 2)));
  }
  EXPECT_EQ(Refusal(Greedy(Prompt(3), 2)).code(),
            absl::StatusCode::kResourceExhausted);
  model_->Release();
  for (const Submitted& request : requests) {
    EXPECT_EQ(request.recorder->Event().reason, FinishReason::kMaxTokens);
  }
  Generate(Greedy(Prompt(3), 2)).recorder->Await();
}

TEST_F(Admission, QueuesWhenTheCacheIsFullAndLosesNothing) {
  // 4 pages: two prompts of a page run and may each need another one, so the
  // others wait.
  Start({}, {}, 2);
  model_->Hold();
  std::vector<Submitted> requests;
  for (int i = 0; i < 6; ++i) {
    requests.push_back(Generate(Greedy(Prompt(30, i), 30)));
  }
  model_->AwaitStep();
  model_->Allow(12);
  model_->AwaitStep();
  EXPECT_EQ(UsedPages(), 4);
  EXPECT_EQ(engine_->stats().running, 2);
  EXPECT_EQ(engine_->stats().queued, 4);
  model_->Release();
  for (int i = 0; i < 6; ++i) {
    requests[i].recorder->Await();
    EXPECT_EQ(requests[i].recorder->ids(), model_->Continue(Prompt(30, i), 30));
  }
}

TEST_F(Admission, NobodyOvertakesALargeRequest) {
  Start({}, {}, 2);
  model_->Hold();
  const auto running =
      Generate(Greedy(Prompt(30), 30));  // may need two of four
  model_->AwaitStep();
  const auto large = Generate(Greedy(Prompt(90), 30));  // three, later four
  const auto small = Generate(Greedy(Prompt(3), 2));    // would fit now
  model_->Allow(20);
  model_->AwaitStep();
  EXPECT_FALSE(running.recorder->finished());
  EXPECT_EQ(engine_->stats().running, 1);
  large.recorder->on_token = [&] { EXPECT_FALSE(small.recorder->finished()); };
  model_->Release();
  small.recorder->Await();
  EXPECT_EQ(large.recorder->Event().usage.completion_tokens, 30);
}

TEST_F(Admission, WaitsForPagesThatOthersHold) {
  Start({}, {}, 2);
  PageTable others = pages_->NewTable();
  ASSERT_TRUE(pages_->Grow(others, 128).ok());
  const auto request = Generate(Greedy(Prompt(3), 2));
  const auto late = Generate(Greedy(Prompt(4), 2));
  engine_->Cancel(late.id);
  EXPECT_EQ(late.recorder->Event().reason, FinishReason::kCancelled);
  EXPECT_FALSE(request.recorder->finished());
  pages_->Release(others);
  EXPECT_EQ(request.recorder->Event().reason, FinishReason::kMaxTokens);
}

TEST_F(Admission, ManyRequestsFromManyThreadsAllEnd) {
  EngineOptions options = Options();
  options.max_queued = 8;
  Start({}, {}, 6, options);
  std::atomic<int> accepted = 0;
  std::atomic<int> refused = 0;
  std::mutex mutex;
  std::vector<std::shared_ptr<GenerationRecorder>> recorders;
  const auto client = [&](int thread) {
    for (int i = 0; i < 40; ++i) {
      auto recorder = std::make_shared<GenerationRecorder>();
      const auto id = engine_->Generate(
          Greedy(Prompt(1 + (i * 13 + thread * 31) % 60, i), 1 + i % 20),
          recorder);
      if (!id.ok()) {
        EXPECT_EQ(id.status().code(), absl::StatusCode::kResourceExhausted);
        ++refused;
        std::this_thread::yield();
        continue;
      }
      ++accepted;
      if (i % 3 == 0) engine_->Cancel(*id);
      const std::lock_guard lock(mutex);
      recorders.push_back(std::move(recorder));
    }
  };
  std::vector<std::thread> clients;
  for (int thread = 0; thread < 4; ++thread)
    clients.emplace_back(client, thread);
  for (std::thread& thread : clients) thread.join();
  for (const auto& recorder : recorders) recorder->Await();
  const EngineStats stats = engine_->stats();
  engine_.reset();
  for (const auto& recorder : recorders) EXPECT_EQ(recorder->finishes(), 1);
  EXPECT_EQ(stats.requests, accepted + refused);
  EXPECT_EQ(stats.failed, refused);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.queued, 0);
}

TEST_F(Admission, OptionsOutOfRangeAreRefused) {
  Start();
  const auto create = [&](EngineOptions options, PageAllocator& pages) {
    return Engine::Create(*model_, *tokenizer_, pages, clock_, options)
        .status()
        .code();
  };
  EngineOptions options = Options();
  options.context_tokens = 1;
  EXPECT_EQ(create(options, *pages_), absl::StatusCode::kInvalidArgument);
  options = Options();
  options.max_sequences = 0;
  EXPECT_EQ(create(options, *pages_), absl::StatusCode::kInvalidArgument);
  options = Options();
  options.max_queued = -1;
  EXPECT_EQ(create(options, *pages_), absl::StatusCode::kInvalidArgument);
  PageAllocator none({0, 0});
  EXPECT_EQ(create(Options(), none), absl::StatusCode::kInvalidArgument);
}

TEST(SequencePages, FindsTheLongestSequenceOfUnevenNodes) {
  // Pages alternate between two nodes: the smaller one bounds them, but the
  // larger one may begin.
  EXPECT_EQ(LongestSequence(PageAllocator({3, 5}), 10'000), 7 * kPagePositions);
  EXPECT_EQ(LongestSequence(PageAllocator({3, 3}), 10'000), 6 * kPagePositions);
  EXPECT_EQ(LongestSequence(PageAllocator({3, 3}), 100), 100);
  EXPECT_EQ(LongestSequence(PageAllocator({0, 1}), 100), kPagePositions);
  EXPECT_EQ(LongestSequence(PageAllocator({0, 0}), 100), 0);
}

}  // namespace
}  // namespace mlad
