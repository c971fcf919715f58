#include "moe/dispatch.h"

#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using ::testing::ElementsAre;

template <typename T>
std::vector<T> Copy(const T* values, int64_t count) {
  return std::vector<T>(values, values + count);
}

TEST(Dispatch, GroupsPairsByExpertWithAscendingTokens) {
  ExpertDispatch dispatch(4, 2, 3);
  const int32_t ids[] = {2, 0, 0, 3, 3, 2};
  const float weights[] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f};
  dispatch.Build(ids, weights, 3);
  EXPECT_EQ(dispatch.experts(), 4);
  EXPECT_EQ(dispatch.Count(1), 0);
  ASSERT_EQ(dispatch.Count(0), 2);
  EXPECT_THAT(Copy(dispatch.Tokens(0), 2), ElementsAre(0, 1));
  EXPECT_THAT(Copy(dispatch.Slots(0), 2), ElementsAre(1, 2));
  EXPECT_THAT(Copy(dispatch.Weights(0), 2), ElementsAre(0.2f, 0.3f));
  EXPECT_THAT(Copy(dispatch.Tokens(2), 2), ElementsAre(0, 2));
  EXPECT_THAT(Copy(dispatch.Slots(3), 2), ElementsAre(3, 4));
}

TEST(Dispatch, EveryPairAppearsOnceAtAnyNumberOfTokens) {
  constexpr int64_t kExperts = 16, kChosen = 3, kMaxTokens = 50;
  ExpertDispatch dispatch(kExperts, kChosen, kMaxTokens);
  std::mt19937 random(1);
  for (const int64_t tokens : {50, 0, 1, 7, 50}) {  // rebuilt again and again
    std::vector<int32_t> ids(tokens * kChosen + 1);
    std::vector<float> weights(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<int32_t>(random() % kExperts);
      weights[i] = static_cast<float>(i);
    }
    dispatch.Build(ids.data(), weights.data(), tokens);
    std::vector<int> seen(tokens * kChosen);
    for (int64_t e = 0; e < kExperts; ++e) {
      for (int64_t i = 0; i < dispatch.Count(e); ++i) {
        const int32_t slot = dispatch.Slots(e)[i];
        ++seen[slot];
        EXPECT_EQ(ids[slot], e);
        EXPECT_EQ(dispatch.Tokens(e)[i], slot / kChosen);
        EXPECT_EQ(dispatch.Weights(e)[i], static_cast<float>(slot));
        if (i > 0) {
          EXPECT_LT(dispatch.Slots(e)[i - 1], slot);
        }
      }
    }
    EXPECT_THAT(seen, ::testing::Each(1));
  }
}

TEST(Dispatch, ReplicasComputeWhereLeastHasBeenGiven) {
  constexpr int kNodes = 2;
  ExpertDispatch dispatch(6, 2, 2);
  ExpertCopies copies = ExpertCopies::AtHome(6, kNodes);
  const int32_t ids[] = {0, 2, 2, 4};  // all at home on node 0
  const float weights[] = {1, 1, 1, 1};
  dispatch.Build(ids, weights, 2);
  dispatch.AssignNodes(copies, kNodes);
  for (const int64_t expert : {0, 2, 4}) EXPECT_EQ(dispatch.NodeOf(expert), 0);
  copies.Add(2, 1);
  copies.Add(4, 1);
  dispatch.AssignNodes(copies, kNodes);
  EXPECT_EQ(dispatch.NodeOf(0), 0);
  EXPECT_EQ(dispatch.NodeOf(2), 1);  // node 0 has expert 0
  EXPECT_EQ(dispatch.NodeOf(4), 0);  // one token there, two on node 1
  copies.Remove(2, 1);
  dispatch.AssignNodes(copies, kNodes);
  EXPECT_EQ(dispatch.NodeOf(2), 0);
  EXPECT_EQ(dispatch.NodeOf(4), 1);
}

}  // namespace
}  // namespace mlad
