#include "bench/bench_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attention/latent_cache.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;

TEST(BenchTestName, LeavesOutWhatGoesWithoutSaying) {
  EXPECT_EQ(BenchTestName(BenchKind::kPrompt, 512, 0, 1), "pp512");
  EXPECT_EQ(BenchTestName(BenchKind::kPrompt, 512, 4096, 1), "pp512@d4096");
  EXPECT_EQ(BenchTestName(BenchKind::kGeneration, 64, 0, 1), "tg64");
  EXPECT_EQ(BenchTestName(BenchKind::kGeneration, 64, 128, 8), "tg64@d128 b8");
}

TEST(BenchPlan, ContextIsRoomForThatManyTokensExactly) {
  BenchPlan plan;
  plan.prompts = {512};
  plan.context = 65536;
  EXPECT_EQ(plan.CacheTokens(1), 65536);
}

TEST(BenchPlan, TestsBeyondTheModelsContextAreRefused) {
  BenchPlan plan;
  plan.generations = {64};
  plan.depths = {4096};
  EXPECT_TRUE(plan.CheckFits(4160).ok());
  const absl::Status status = plan.CheckFits(4159);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("4160"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--depth"));
}

TEST(ParseCacheFill, UnknownNamesAreRefused) {
  EXPECT_EQ(*ParseCacheFill("random"), CacheFill::kRandom);
  EXPECT_THAT(std::string(ParseCacheFill("zero").status().message()),
              HasSubstr("prompt or random"));
}

/// The pages of a plan are those that its sequences need, whichever node each
/// begins on.
class SequencesFit : public ::testing::TestWithParam<int> {};

TEST_P(SequencesFit, OnEveryNumberOfNodes) {
  const int nodes = GetParam();
  for (const int64_t batch : {1, 3, 8, 64}) {
    for (const int64_t depth : {0, 100, 1000, 1024, 5000}) {
      BenchPlan plan;
      plan.prompts = {2000};
      plan.generations = {64};
      plan.depths = {0, depth};
      plan.batches = {1, batch};
      // As MakePlacementPlan deals them out.
      const int64_t pages =
          PageAllocator::PagesForTokens(plan.CacheTokens(nodes));
      const auto share = [&](int64_t n) { return (n + nodes - 1) / nodes; };
      PageAllocator allocator(std::vector<int64_t>(
          nodes, pages / kLanes * share(kLanes) + share(pages % kLanes)));
      for (int64_t i = 0; i < batch; ++i) {
        PageTable table = allocator.NewTable();
        EXPECT_TRUE(
            allocator.Grow(table, i == 0 ? plan.SequenceTokens() : depth + 64)
                .ok())
            << batch << " sequences, depth " << depth;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Nodes, SequencesFit, ::testing::Values(1, 2, 3, 8));

}  // namespace
}  // namespace mlad
