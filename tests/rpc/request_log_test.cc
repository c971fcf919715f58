#include "rpc/request_log.h"

#include <string>

#include <gtest/gtest.h>

namespace mlad {
namespace {

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";

TEST(TraceIdOf, ReadsTraceContexts) {
  const std::string rest = std::string("-") + kTrace + "-00f067aa0ba902b7-01";
  EXPECT_EQ(TraceIdOf("00" + rest), kTrace);
  EXPECT_EQ(TraceIdOf("cc" + rest), kTrace);
  EXPECT_EQ(TraceIdOf("cc" + rest + "-more"), kTrace);
  EXPECT_EQ(TraceIdOf("00" + rest + "-more"), "");
  EXPECT_EQ(TraceIdOf("cc" + rest + "more"), "");
  EXPECT_EQ(TraceIdOf("ff" + rest), "");
  EXPECT_EQ(TraceIdOf("0x" + rest), "");
}

TEST(TraceIdOf, IsEmptyForAnythingElse) {
  const std::string good = std::string("00-") + kTrace + "-00f067aa0ba902b7-01";
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(TraceIdOf(good.substr(0, size)), "") << size;
  }
  for (const size_t at : {2, 3, 20, 35, 36, 52}) {
    std::string bad = good;
    bad[at] = 'G';
    EXPECT_EQ(TraceIdOf(bad), "") << at;
  }
  EXPECT_EQ(TraceIdOf("00-" + std::string(32, '0') + "-00f067aa0ba902b7-01"),
            "");
  EXPECT_EQ(TraceIdOf(std::string("00-") + kTrace + "-0000000000000000-01"),
            "");
}

}  // namespace
}  // namespace mlad
