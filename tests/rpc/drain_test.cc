// Shutting down with work in progress.
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/server_fixture.h"

namespace mlad {
namespace {

using testing::HasSubstr;

class Drain : public ServerFixture {};

TEST_F(Drain, RunningAnswersAreCompletedAndNewOnesRefused) {
  // About 300 ms.
  engine().SetScript([](const GenerationRequest&) {
    return FakeServedModel::Say(std::string(200, 'x'));
  });
  Answer running;
  std::thread stream([&] { running = Collect(client(), GenerateText("p")); });
  ASSERT_EQ(engine().WaitForAccepted(1), 1);
  const auto other = NewClient();
  std::thread stopper(
      [&] { server_->Shutdown(absl::Now() + absl::Seconds(60)); });
  while (*other->CheckHealth() == Health::kServing) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  const absl::Status refused = Collect(*other, GenerateText("q")).status;
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("shutting down"));
  const absl::Time begin = absl::Now();
  stream.join();
  stopper.join();
  EXPECT_TRUE(running.status.ok()) << running.status;
  EXPECT_EQ(running.text, std::string(200, 'x'));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(50));  // not the deadline
}

TEST_F(Drain, TheDeadlineEndsAnswersThatAreNotComplete) {
  engine().SetScript([](const GenerationRequest&) {
    FakeScript script = FakeServedModel::Say("x");
    script.endless = true;
    return script;
  });
  Answer running;
  std::thread stream([&] { running = Collect(client(), GenerateText("p")); });
  ASSERT_EQ(engine().WaitForAccepted(1), 1);
  server_->Shutdown(absl::Now() + absl::Milliseconds(100));
  stream.join();
  EXPECT_EQ(running.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(running.status.message()),
              HasSubstr("shut down before the answer was complete"));
  // It has what there was, and the Finish that says so.
  EXPECT_FALSE(running.text.empty());
  EXPECT_EQ(running.finish.reason(), v1::FINISH_REASON_CANCELLED);
}

TEST_F(Drain, AClientThatDoesNotReadIsCutOff) {
  engine().SetScript([](const GenerationRequest&) {
    FakeScript script = FakeServedModel::Say(std::string(400, 'x'));
    for (TokenEvent& event : script.tokens) event.text.assign(1 << 14, 'x');
    return script;
  });
  bool stopped = false;
  absl::Time end;
  const absl::Status status =
      client().Generate(GenerateText("p"), [&](const auto&) {
        if (!std::exchange(stopped, true)) {
          const absl::Time begin = absl::Now();
          server_->Shutdown(begin + absl::Seconds(1));
          EXPECT_LT(absl::Now() - begin, absl::Seconds(15));
        }
        return true;
      });
  EXPECT_FALSE(status.ok());
}

TEST_F(Drain, TheServerMayGoWithoutACall) {
  server_.reset();
  EXPECT_EQ(client().GetStats().status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace mlad
