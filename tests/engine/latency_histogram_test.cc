#include "engine/latency_histogram.h"

#include <numeric>

#include <gtest/gtest.h>

namespace mlad {
namespace {

TEST(LatencyHistogram, ABucketEndsWithItsBound) {
  LatencyHistogram histogram;
  histogram.Add(absl::ZeroDuration());
  histogram.Add(absl::Milliseconds(5));
  histogram.Add(absl::Microseconds(5001));
  histogram.Add(absl::Minutes(10));
  histogram.Add(absl::Minutes(11));
  const LatencyHistogram::Counts& counts = histogram.counts();
  EXPECT_EQ(counts[0], 2);
  EXPECT_EQ(counts[1], 1);
  EXPECT_EQ(counts[counts.size() - 2], 1);
  EXPECT_EQ(counts.back(), 1);
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), 5);
  EXPECT_NEAR(histogram.sum_s(), 1260.010001, 1e-9);
}

}  // namespace
}  // namespace mlad
