#include "engine/rate_meter.h"

#include <gtest/gtest.h>

namespace mlad {
namespace {

TEST(RateMeter, IsZeroBeforeAnyWork) {
  RateMeter meter;
  EXPECT_EQ(meter.Rate(), 0);
  meter.Add(5, absl::ZeroDuration());  // a clock that has not moved
  EXPECT_EQ(meter.Rate(), 0);
}

TEST(RateMeter, DividesTokensByWork) {
  RateMeter meter;
  meter.Add(10, absl::Seconds(1));
  meter.Add(20, absl::Seconds(1));
  EXPECT_DOUBLE_EQ(meter.Rate(), 15);
}

TEST(RateMeter, CountsWorkThatGaveNothing) {
  RateMeter meter;
  meter.Add(10, absl::Seconds(1));
  meter.Add(0, absl::Seconds(4));
  EXPECT_DOUBLE_EQ(meter.Rate(), 2);
}

TEST(RateMeter, ForgetsWhatIsOlderThanTheWindow) {
  RateMeter meter(absl::Seconds(10));
  for (int i = 0; i < 1000; ++i) meter.Add(100, absl::Milliseconds(10));
  EXPECT_NEAR(meter.Rate(), 10'000, 1e-6);
  // The new speed has filled the window, but for one slice (1%) of the old.
  for (int i = 0; i < 1000; ++i) meter.Add(1, absl::Milliseconds(10));
  EXPECT_NEAR(meter.Rate(), 100, 10'000 * 0.01);
  for (int i = 0; i < 20; ++i) meter.Add(1, absl::Milliseconds(10));
  EXPECT_NEAR(meter.Rate(), 100, 1e-6);
}

TEST(RateMeter, OneLongPieceOfWorkIsTheWholeWindow) {
  RateMeter meter(absl::Seconds(10));
  meter.Add(7, absl::Milliseconds(100));
  meter.Add(600, absl::Minutes(1));
  EXPECT_DOUBLE_EQ(meter.Rate(), 10);
}

}  // namespace
}  // namespace mlad
