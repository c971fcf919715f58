// Generate and Chat over a real connection, against a scripted engine.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/server_fixture.h"

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

FakeScript Endless() {
  FakeScript script = FakeServedModel::Say("x");
  script.endless = true;
  return script;
}

class Generation : public ServerFixture {};

TEST_F(Generation, StreamsProgressTokensAndFinishInOrder) {
  engine().SetScript([](const GenerationRequest&) {
    FakeScript script = FakeServedModel::Say("Hello");
    script.prompt_progress = {1, 3};
    script.finish = FinishEvent{.reason = FinishReason::kStopString,
                                .text = " wor",
                                .reasoning = {},
                                .stop_string = "END",
                                .usage = {.cached_tokens = 1},
                                .timings = {.queued = absl::Milliseconds(1),
                                            .prompt = absl::Milliseconds(500),
                                            .generation = absl::Seconds(2)},
                                .seed = 77};
    return script;
  });
  const Answer answer = Collect(client(), GenerateText("ab"));
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(answer.text, "Hello wor");

  // Progress may be merged while it waits; the last one is there, and first.
  const size_t progress = answer.messages.size() - 6;
  ASSERT_GE(progress, 1u);
  ASSERT_LE(progress, 2u);
  EXPECT_EQ(answer.messages[progress - 1].prompt_progress().tokens_done(), 3);
  EXPECT_EQ(answer.messages[progress - 1].prompt_progress().tokens_total(), 3);
  for (int i = 0; i < 5; ++i) {
    const v1::Token& token = answer.messages[progress + i].token();
    EXPECT_EQ(token.id(), "Hello"[i]);
    EXPECT_FALSE(token.has_logprob());
  }
  EXPECT_TRUE(answer.messages.back().has_finish());

  const v1::Finish& finish = answer.finish;
  EXPECT_EQ(finish.reason(), v1::FINISH_REASON_STOP_STRING);
  EXPECT_EQ(finish.stop_string(), "END");
  EXPECT_EQ(finish.seed(), 77u);
  EXPECT_EQ(finish.usage().prompt_tokens(), 3);  // with BOS
  EXPECT_EQ(finish.usage().cached_tokens(), 1);
  EXPECT_EQ(finish.usage().completion_tokens(), 5);
  EXPECT_DOUBLE_EQ(finish.timings().queued_ms(), 1);
  EXPECT_DOUBLE_EQ(finish.timings().prompt_tokens_per_s(), 4);  // 2 in 0.5 s
  EXPECT_DOUBLE_EQ(finish.timings().tokens_per_s(), 2.5);       // 5 in 2 s
}

TEST_F(Generation, HandsTheRequestToTheEngine) {
  v1::GenerateRequest request = GenerateText("ab<｜User｜>");
  request.mutable_options()->set_max_tokens(9);
  request.mutable_options()->add_stop("stop");
  request.mutable_options()->mutable_sampling()->set_temperature(0.25f);
  ASSERT_TRUE(Collect(client(), request).status.ok());
  const GenerationRequest seen = engine().last_request();
  EXPECT_THAT(seen.prompt, ElementsAre(kFakeBos, 'a', 'b', kFakeUser));
  EXPECT_EQ(seen.max_tokens, 9);
  EXPECT_THAT(seen.stop, ElementsAre("stop"));
  EXPECT_EQ(seen.sampling.temperature, 0.25f);
  EXPECT_EQ(seen.deadline, absl::InfiniteFuture());
}

TEST_F(Generation, TextMayBeKeptFromBecomingSpecialTokens) {
  v1::GenerateRequest request = GenerateText("<｜User｜>");
  request.set_add_bos(false);
  request.set_parse_special(false);
  ASSERT_TRUE(Collect(client(), request).status.ok());
  EXPECT_EQ(engine().last_request().prompt.size(),
            std::string("<｜User｜>").size());
}

TEST_F(Generation, TokenIdsAreTakenAsTheyAre) {
  v1::GenerateRequest request;
  request.mutable_tokens()->add_ids(5);
  request.mutable_tokens()->add_ids(kFakeEos);
  ASSERT_TRUE(Collect(client(), request).status.ok());
  EXPECT_THAT(engine().last_request().prompt, ElementsAre(5, kFakeEos));
}

TEST_F(Generation, ReportsLogprobsWhenAskedTo) {
  engine().SetScript([](const GenerationRequest&) {
    FakeScript script = FakeServedModel::Say("a");
    script.tokens[0].token.top = {{.id = 'a', .logprob = -0.25f},
                                  {.id = 0xFF, .logprob = -3}};
    return script;
  });
  v1::GenerateRequest request = GenerateText("p");
  request.mutable_options()->set_logprobs(2);
  const Answer answer = Collect(client(), request);
  EXPECT_EQ(engine().last_request().logprobs, 2);
  ASSERT_EQ(answer.messages.size(), 2u);
  const v1::Token& token = answer.messages[0].token();
  EXPECT_EQ(token.logprob(), -0.25f);
  ASSERT_EQ(token.alternatives_size(), 2);
  EXPECT_EQ(token.alternatives(1).id(), 0xFF);
  EXPECT_EQ(token.alternatives(1).logprob(), -3);
  EXPECT_EQ(token.alternatives(1).piece(), "\xFF");
}

TEST_F(Generation, ChatRendersTheModelsTemplate) {
  v1::ChatRequest request;
  v1::ChatMessage& message = *request.add_messages();
  message.set_role("user");
  message.set_content("hi");
  request.mutable_options()->set_max_tokens(3);
  ASSERT_TRUE(client().Chat(request, [](const auto&) { return true; }).ok());
  EXPECT_THAT(engine().last_request().prompt,
              ElementsAre(kFakeBos, kFakeUser, 'h', 'i', kFakeAssistant));
  EXPECT_EQ(engine().last_request().max_tokens, 3);

  model_.RemoveChatStyle();
  const absl::Status status =
      client().Chat(request, [](const auto&) { return true; });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no chat template"));
}

TEST_F(Generation, ChatSplitsThoughtsUnlessToldOtherwise) {
  engine().SetScript([](const GenerationRequest&) {
    FakeScript script = FakeServedModel::Say("a");
    script.tokens[0].reasoning = "hm";
    script.finish->reasoning = "!";
    return script;
  });
  v1::ChatRequest request;
  request.add_messages()->set_role("user");
  std::string reasoning;
  const auto collect = [&](const v1::GenerateResponse& message) {
    reasoning += message.token().reasoning() + message.finish().reasoning();
    return true;
  };
  ASSERT_TRUE(client().Chat(request, collect).ok());
  EXPECT_EQ(reasoning, "hm!");
  EXPECT_TRUE(engine().last_request().split_reasoning);
  request.mutable_options()->set_split_reasoning(false);
  ASSERT_TRUE(client().Chat(request, collect).ok());
  EXPECT_FALSE(engine().last_request().split_reasoning);
  ASSERT_TRUE(Collect(client(), GenerateText("p")).status.ok());
  EXPECT_FALSE(engine().last_request().split_reasoning);
}

TEST_F(Generation, EchoAndPromptLogprobsComeBeforeTheText) {
  engine().SetScript([](const GenerationRequest&) {
    FakeScript script = FakeServedModel::Say("a");
    script.prompt_logprobs = {{.logprobs = {-1}, .top = {{{.id = 3}}}},
                              {.logprobs = {-2}, .top = {}}};
    return script;
  });
  v1::GenerateRequest request = GenerateText("\xC3\xA9");
  request.mutable_options()->set_echo(true);
  request.mutable_options()->set_prompt_logprobs(1);
  const Answer answer = Collect(client(), request);
  ASSERT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(engine().last_request().prompt_logprobs, 1);
  ASSERT_EQ(answer.messages.size(), 5u);  // a token and the end
  EXPECT_THAT(answer.messages[0].prompt().ids(),
              ElementsAre(kFakeBos, 0xC3, 0xA9));
  EXPECT_EQ(answer.messages[0].prompt().text(), "\xC3\xA9");
  const v1::PromptLogprobs& first = answer.messages[1].prompt_logprobs();
  EXPECT_EQ(first.first(), 1);
  ASSERT_EQ(first.scores_size(), 1);
  EXPECT_EQ(first.scores(0).id(), 0xC3);
  EXPECT_EQ(first.scores(0).piece(), "\xC3");
  EXPECT_EQ(first.scores(0).logprob(), -1);
  EXPECT_EQ(first.scores(0).alternatives(0).id(), 3);
  EXPECT_EQ(answer.messages[2].prompt_logprobs().first(), 2);
  EXPECT_EQ(answer.messages[2].prompt_logprobs().scores(0).id(), 0xA9);
}

TEST_F(Generation, ErrorsOfTheEngineReachTheClient) {
  engine().SetRefusal(absl::OutOfRangeError("the prompt is too long"));
  Answer answer = Collect(client(), GenerateText("p"));
  EXPECT_EQ(answer.status, absl::OutOfRangeError("the prompt is too long"));

  engine().SetRefusal(absl::OkStatus());
  engine().SetScript([](const GenerationRequest&) {
    FakeScript script = FakeServedModel::Say("ab");
    script.finish = absl::ResourceExhaustedError("the cache is full");
    return script;
  });
  answer = Collect(client(), GenerateText("p"));
  EXPECT_EQ(answer.status, absl::ResourceExhaustedError("the cache is full"));
  EXPECT_EQ(answer.text, "ab");
}

TEST_F(Generation, CancelReachesTheEngine) {
  engine().SetScript([](const GenerationRequest&) { return Endless(); });
  // By a callback that has seen enough.
  EXPECT_TRUE(client()
                  .Generate(GenerateText("p"),
                            [](const v1::GenerateResponse&) { return false; })
                  .ok());
  EXPECT_EQ(engine().WaitForCancelled(1), 1);

  // By another thread.
  CallCanceller canceller;
  std::thread other([&] {
    engine().WaitForAccepted(2);
    canceller.Cancel();
  });
  const Answer answer =
      Collect(client(), GenerateText("p"), {.canceller = &canceller});
  other.join();
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(engine().WaitForCancelled(2), 2);

  // A canceller stays cancelled.
  EXPECT_EQ(Collect(client(), GenerateText("p"), {.canceller = &canceller})
                .status.code(),
            absl::StatusCode::kCancelled);
}

TEST_F(Generation, TheDeadlineStopsTheEngine) {
  engine().SetScript([](const GenerationRequest&) { return Endless(); });
  const absl::Time before = absl::Now();
  const Answer answer = Collect(client(), GenerateText("p"),
                                {.timeout = absl::Milliseconds(300)});
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kDeadlineExceeded);
  const absl::Time deadline = engine().last_request().deadline;
  // gRPC sends what is left of the time, in milliseconds; the request takes a
  // while to arrive.
  EXPECT_GE(deadline, before + absl::Milliseconds(290));
  EXPECT_LE(deadline, absl::Now() + absl::Milliseconds(300));
  for (int i = 0; i < 2000 && engine().stats().running > 0; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(engine().stats().running, 0);
}

TEST_F(Generation, SixtyFourStreamsAtOnceKeepTheirAnswersApart) {
  constexpr int kStreams = 64;
  engine().SetScript([](const GenerationRequest& request) {
    // Says its own prompt, without BOS, again and again.
    std::string text;
    for (int i = 0; i < 20; ++i) {
      for (size_t j = 1; j < request.prompt.size(); ++j) {
        text.push_back(static_cast<char>(request.prompt[j]));
      }
    }
    return FakeServedModel::Say(text);
  });
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int i = 0; i < kStreams; ++i) {
    threads.emplace_back([&, i] {
      const std::string prompt = "<" + std::to_string(i) + ">";
      std::string expected;
      for (int j = 0; j < 20; ++j) expected += prompt;
      const Answer answer = Collect(client(), GenerateText(prompt));
      EXPECT_TRUE(answer.status.ok()) << answer.status;
      EXPECT_EQ(answer.text, expected);
      if (answer.text == expected) ++right;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, kStreams);
  EXPECT_EQ(engine().stats().requests, kStreams);
}

class SlowReader : public ServerFixture {
 protected:
  static ServerOptions Options() {
    ServerOptions options = LoopbackOptions();
    options.max_unread_bytes = 100'000;
    return options;
  }
  SlowReader() : ServerFixture(Options(), absl::ZeroDuration()) {
    // To "slow": 16 MiB, more than the buffers of the connection hold.
    engine().SetScript([](const GenerationRequest& request) {
      if (request.prompt.size() == 2) return FakeServedModel::Say("quick");
      FakeScript script = FakeServedModel::Say(std::string(1 << 14, 'x'));
      for (TokenEvent& event : script.tokens) event.text.assign(1 << 10, 'x');
      return script;
    });
  }
};

TEST_F(SlowReader, HoldsUpItsOwnRequestOnlyAndLosesNothing) {
  size_t bytes = 0;
  int pauses = 0;
  const auto other = NewClient();
  const absl::Status status = client().Generate(
      GenerateText("slow"), [&](const v1::GenerateResponse& message) {
        if (bytes % (4 << 20) == 0 && message.has_token()) {
          // Until the engine does not go on.
          EXPECT_EQ(engine().WaitForPaused(1), 1);
          ++pauses;
          EXPECT_EQ(Collect(*other, GenerateText("q")).text, "quick");
        }
        bytes += message.token().text().size();
        return true;
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(bytes, size_t{16} << 20);
  EXPECT_EQ(pauses, 4);
  EXPECT_EQ(engine().WaitForCancelled(0), 0);
}

TEST_F(SlowReader, LittleIsKeptForIt) {
  const absl::Status status =
      client().Generate(GenerateText("slow"), [&](const auto&) {
        EXPECT_EQ(engine().WaitForPaused(1), 1);
        // The connection's own buffers and 100,000 bytes.
        EXPECT_LT(engine().completion_tokens(), 4 << 10);
        return false;
      });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(SlowReader, GoingAwayItFreesItsRequest) {
  {
    const auto slow = NewClient();
    EXPECT_TRUE(slow->Generate(GenerateText("slow"),
                               [&](const auto&) {
                                 EXPECT_EQ(engine().WaitForPaused(1), 1);
                                 return false;
                               })
                    .ok());
  }
  EXPECT_EQ(engine().WaitForCancelled(1), 1);
}

class StuckReader : public ServerFixture {
 protected:
  static ServerOptions Options() {
    ServerOptions options = LoopbackOptions();
    options.reader_timeout = absl::Milliseconds(200);
    return options;
  }
  StuckReader() : ServerFixture(Options(), absl::ZeroDuration()) {}

  /// Of a client that reads nothing behind the first of `tokens` messages of a
  /// KiB each until the engine has nothing left to do for it.
  absl::Status ReadOneOf(size_t tokens) {
    engine().SetScript([tokens](const GenerationRequest&) {
      FakeScript script = FakeServedModel::Say(std::string(tokens, 'x'));
      for (TokenEvent& event : script.tokens) event.text.assign(1 << 10, 'x');
      return script;
    });
    bool first = true;
    return client().Generate(GenerateText("p"), [&](const auto&) {
      if (!std::exchange(first, false)) return true;
      const absl::Time patience = absl::Now() + absl::Seconds(20);
      while (engine().stats().running > 0 && absl::Now() < patience) {
        absl::SleepFor(absl::Milliseconds(5));
      }
      absl::SleepFor(absl::Seconds(1));
      return true;
    });
  }
};

TEST_F(StuckReader, IsCutOff) {
  EXPECT_EQ(ReadOneOf(1 << 14).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(engine().WaitForCancelled(1), 1);
}

TEST_F(StuckReader, WhoReadsIsNotHoweverSlowly) {
  engine().SetScript([](const GenerationRequest&) {
    FakeScript script = FakeServedModel::Say(std::string(1000, 'x'));
    for (TokenEvent& event : script.tokens) event.text.assign(1 << 10, 'x');
    return script;
  });
  const absl::Time begin = absl::Now();
  const absl::Status status =
      client().Generate(GenerateText("p"), [&](const auto&) {
        absl::SleepFor(absl::Milliseconds(1));
        return true;
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_GT(absl::Now() - begin, absl::Milliseconds(1000));
}

TEST_F(StuckReader, ShortAnswersFitIntoTheConnection) {
  EXPECT_TRUE(ReadOneOf(8).ok());
}

}  // namespace
}  // namespace mlad
