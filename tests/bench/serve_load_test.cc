#include "bench/serve_load.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using testing::HasSubstr;

LengthDistribution Lengths(std::string_view text) {
  const auto lengths = LengthDistribution::Parse(text);
  EXPECT_TRUE(lengths.ok()) << lengths.status();
  return lengths.ok() ? *lengths : LengthDistribution();
}

TEST(LengthDistribution, LognormalHasItsMedianDeviationAndLimit) {
  std::mt19937_64 random(1);
  const LengthDistribution lengths = Lengths("lognormal:760:0.985:14050");
  std::vector<int64_t> drawn;
  double sum = 0, squares = 0;
  for (int i = 0; i < 20000; ++i) {
    drawn.push_back(lengths.Draw(random));
    const double logarithm = std::log(static_cast<double>(drawn.back()));
    sum += logarithm;
    squares += logarithm * logarithm;
  }
  std::sort(drawn.begin(), drawn.end());
  EXPECT_NEAR(static_cast<double>(drawn[10000]), 760, 25);
  EXPECT_NEAR(std::sqrt(squares / 20000 - sum * sum / 4e8), 0.985, 0.03);
  EXPECT_GE(drawn.front(), 1);
  EXPECT_LE(drawn.back(), 14050);
}

TEST(LengthDistribution, ANumberIsThatNumber) {
  std::mt19937_64 random(1);
  EXPECT_EQ(Lengths("512").Draw(random), 512);
}

TEST(LengthDistribution, RefusesWhatIsNoLength) {
  for (const char* text : {"", "x", "0", "-3", "lognormal:5:1", "normal:1:1:1",
                           "lognormal:0:1:9", "lognormal:5:nan:9", "1:2:3:4"}) {
    EXPECT_FALSE(LengthDistribution::Parse(text).ok()) << text;
  }
}

TEST(ParseTrace, ReadsTheColumnsByTheirNames) {
  const auto trace = ParseTrace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      "2023-11-16 18:15:46.6,374,44\r\n2023-11-16 18:15:50.9,396,0\r\n");
  ASSERT_TRUE(trace.ok()) << trace.status();
  ASSERT_EQ(trace->size(), 2u);
  EXPECT_EQ((*trace)[0].prompt_tokens, 374);
  EXPECT_EQ((*trace)[0].output_tokens, 44);
  EXPECT_EQ((*trace)[1].output_tokens, 1);
  EXPECT_THAT(ParseTrace("a,b\n1,2\n").status().message(),
              HasSubstr("ContextTokens"));
  EXPECT_THAT(ParseTrace("ContextTokens,GeneratedTokens\n1,2\n1,x\n")
                  .status()
                  .message(),
              HasSubstr("line 3"));
  EXPECT_FALSE(ParseTrace("").ok());
}

LoadPlan Plan() {
  LoadPlan plan;
  plan.requests = 4000;
  plan.rate = 8;
  plan.prompts = Lengths("lognormal:100:1:1000");
  plan.answers = Lengths("50");
  return plan;
}

TEST(PlanRequests, ArrivesAsAPoissonProcess) {
  const std::vector<PlannedRequest> requests = PlanRequests(Plan());
  ASSERT_EQ(requests.size(), 4000u);
  EXPECT_NEAR(requests.back().at_s, 500, 30);
  // The gaps of such a process deviate by as much as they are long.
  double sum = 0, squares = 0;
  for (size_t i = 1; i < requests.size(); ++i) {
    const double gap = requests[i].at_s - requests[i - 1].at_s;
    ASSERT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
  }
  const double mean = sum / 3999;
  EXPECT_NEAR(std::sqrt(squares / 3999 - mean * mean) / mean, 1, 0.06);
}

TEST(PlanRequests, IsTheSameForASeedOnly) {
  LoadPlan plan = Plan();
  const auto first = PlanRequests(plan);
  EXPECT_EQ(PlanRequests(plan)[99].at_s, first[99].at_s);
  plan.seed = 2;
  EXPECT_NE(PlanRequests(plan)[99].at_s, first[99].at_s);
}

TEST(PlanRequests, CutsWhatIsTooLongAndMaySendAllAtOnce) {
  LoadPlan plan = Plan();
  plan.rate = 0;
  plan.most_tokens = 60;
  for (const PlannedRequest& request : PlanRequests(plan)) {
    EXPECT_EQ(request.at_s, 0);
    EXPECT_EQ(request.lengths.output_tokens, 30);
    EXPECT_LE(request.lengths.prompt_tokens, 30);
  }
}

TEST(PlanRequests, DrawsPairsFromATrace) {
  LoadPlan plan = Plan();
  plan.trace = {{1, 10}, {2, 20}};
  for (const PlannedRequest& request : PlanRequests(plan)) {
    EXPECT_EQ(request.lengths.output_tokens,
              10 * request.lengths.prompt_tokens);
  }
}

TEST(RandomPrompt, SharesItsBeginningOnly) {
  const auto first = RandomPrompt(100, 40, 7, 0, 1000);
  const auto second = RandomPrompt(90, 40, 7, 1, 1000);
  ASSERT_EQ(first.size(), 100u);
  ASSERT_EQ(second.size(), 90u);
  EXPECT_TRUE(std::equal(first.begin(), first.begin() + 40, second.begin()));
  EXPECT_NE(first[41], second[41]);
  EXPECT_THAT(first,
              testing::Each(testing::AllOf(testing::Ge(20), testing::Lt(900))));
  EXPECT_NE(RandomPrompt(5, 5, 8, 0, 1000), RandomPrompt(5, 5, 7, 0, 1000));
}

}  // namespace
}  // namespace mlad
