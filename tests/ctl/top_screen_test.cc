#include "ctl/top_screen.h"

#include <string>

#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mlad {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int64_t kGiB = int64_t{1} << 30;

v1::Stats Serving(int nodes) {
  v1::Stats stats;
  stats.set_state(v1::SERVING_STATE_SERVING);
  stats.set_uptime_s(3 * 86400 + 3600 + 62);
  stats.set_kv_bytes_capacity(16 * kGiB);
  stats.set_kv_bytes_used(4 * kGiB);
  stats.mutable_engine()->set_running(3);
  stats.mutable_engine()->set_queued(2);
  for (int i = 0; i < nodes; ++i) {
    v1::NodeStats* node = stats.add_nodes();
    node->set_node(i);
    node->set_kv_bytes_capacity(8 * kGiB);
    node->set_kv_bytes_used(2 * kGiB);
    node->set_busy_share(0.96);
    node->set_barrier_share(0.04);
  }
  return stats;
}

std::string Text(const TopScreen& screen, int width = 80, int height = 24) {
  return absl::StrJoin(screen.Draw(width, height), "\n");
}

TEST(TopScreen, FitsEverySize) {
  for (const int nodes : {0, 1, 2, 8, 64}) {
    TopScreen screen("DeepSeek-V3 at 127.0.0.1:6523");
    const v1::Stats stats = Serving(nodes);
    for (int second = 0; second < 100; ++second) {
      screen.Add(stats, absl::FromUnixSeconds(second));
    }
    for (int width = 0; width <= 200; width += 7) {
      for (int height = 0; height <= 60; ++height) {
        const auto lines = screen.Draw(width, height);
        ASSERT_EQ(static_cast<int>(lines.size()), height);
        for (const std::string& line : lines) {
          ASSERT_LE(static_cast<int>(line.size()), width) << line;
        }
      }
    }
  }
}

TEST(TopScreen, EightyByTwentyFourHasRoomForEightNodesAndTheHistory) {
  TopScreen screen("DeepSeek-V3 at 127.0.0.1:6523");
  screen.Add(Serving(8), absl::UnixEpoch());
  const std::string text = Text(screen);
  EXPECT_THAT(text, HasSubstr("serving for 3 d 01:01:02"));
  EXPECT_THAT(text, HasSubstr("3 running, 2 queued"));
  EXPECT_THAT(text, HasSubstr("25%, 4.0 GiB of 16.0 GiB"));
  EXPECT_THAT(text, HasSubstr("\n  7   ["));
  EXPECT_THAT(text, HasSubstr("generated tokens/s"));
  EXPECT_THAT(text, HasSubstr("wrong\n"));  // the last column is whole
  EXPECT_THAT(text, Not(HasSubstr("more nodes")));
}

TEST(TopScreen, RatesAreThoseOfTheLastInterval) {
  TopScreen screen("");
  v1::Stats stats = Serving(2);
  stats.mutable_engine()->set_completion_tokens(1000);
  stats.mutable_nodes(1)->set_local_bytes(100 * kGiB);
  screen.Add(stats, absl::FromUnixSeconds(10));
  EXPECT_THAT(Text(screen), HasSubstr("0.0/s generated now"));
  stats.mutable_engine()->set_completion_tokens(1100);
  stats.mutable_nodes(1)->set_local_bytes(140 * kGiB);
  stats.mutable_nodes(1)->set_remote_bytes(kGiB);
  screen.Add(stats, absl::FromUnixSeconds(14));
  const std::string text = Text(screen);
  EXPECT_THAT(text, HasSubstr("25.0/s generated now"));
  EXPECT_THAT(text, HasSubstr("10.0 GiB/s"));
  EXPECT_THAT(text, HasSubstr("256.0 MiB/s"));
}

TEST(TopScreen, ManyNodesInASmallWindow) {
  TopScreen screen("");
  screen.Add(Serving(64), absl::UnixEpoch());
  EXPECT_THAT(Text(screen), HasSubstr("more nodes"));
  EXPECT_THAT(Text(screen, 80, 80), HasSubstr("\n 63   ["));
}

TEST(TopScreen, WhileLoading) {
  TopScreen screen("");
  EXPECT_THAT(Text(screen), HasSubstr("waiting"));
  v1::Stats stats;
  stats.set_state(v1::SERVING_STATE_LOADING);
  stats.set_load_fraction(0.42);
  screen.Add(stats, absl::UnixEpoch());
  EXPECT_THAT(Text(screen), HasSubstr("42%"));
}

TEST(TopScreen, ControlCharactersOfNamesAreNotShown) {
  const std::string text = Text(TopScreen("evil\x1b[2Jname\xC2\x9B"));
  EXPECT_THAT(text, HasSubstr("evil?[2Jname??"));
}

}  // namespace
}  // namespace mlad
