#include "moe/router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Routed {
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

Routed Route(const RouterShape& shape, const std::vector<float>& logits,
             const std::vector<float>& bias = {}) {
  std::vector<float> scratch(RouterScratchFloats(shape));
  Routed routed = {std::vector<int32_t>(shape.experts_per_token, -1),
                   std::vector<float>(shape.experts_per_token, kNaN)};
  RouteToken(shape, logits, bias, scratch.data(), routed.ids.data(),
             routed.weights.data());
  return routed;
}

RouterShape V2Lite() {
  return {64, 6, 1, 1, RouterScoring::kSoftmax, false, 1};
}
RouterShape V2() { return {160, 6, 8, 3, RouterScoring::kSoftmax, false, 16}; }
RouterShape V3() { return {256, 8, 8, 4, RouterScoring::kSigmoid, true, 2.5f}; }
RouterShape KimiK2() {
  return {384, 8, 1, 1, RouterScoring::kSigmoid, true, 2.827f};
}

/// Logit whose sigmoid is `score`.
float Logit(double score) {
  return static_cast<float>(std::log(score / (1 - score)));
}

/// The rules of the papers, in double, by sorting.
class Reference {
 public:
  Reference(const RouterShape& shape, const std::vector<float>& logits,
            const std::vector<float>& bias)
      : shape_(shape), scores_(Scores(logits)), choice_(scores_) {
    for (size_t e = 0; e < bias.size(); ++e) choice_[e] += bias[e];
  }

  std::vector<int32_t> Ids() const {
    std::vector<int32_t> ids;
    const std::set<int64_t> groups = BestGroups();
    const int64_t size = shape_.experts / shape_.groups;
    for (int32_t e = 0; e < shape_.experts; ++e) {
      if (groups.count(e / size) > 0) ids.push_back(e);
    }
    std::stable_sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
      return choice_[a] > choice_[b];
    });
    ids.resize(shape_.experts_per_token);
    return ids;
  }

  std::vector<double> Weights() const {
    std::vector<double> weights;
    for (const int32_t id : Ids()) weights.push_back(scores_[id]);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (double& w : weights) {
      w *= shape_.scale / (shape_.normalize ? sum : 1);
    }
    return weights;
  }

 private:
  std::vector<double> Scores(const std::vector<float>& logits) const {
    std::vector<double> scores;
    double sum = 0;
    for (const double x : logits) sum += std::exp(x);
    for (const double x : logits) {
      scores.push_back(shape_.scoring == RouterScoring::kSigmoid
                           ? 1 / (1 + std::exp(-x))
                           : std::exp(x) / sum);
    }
    return scores;
  }

  std::set<int64_t> BestGroups() const {
    const int64_t size = shape_.experts / shape_.groups;
    std::vector<std::pair<double, int64_t>> groups;
    for (int64_t g = 0; g < shape_.groups; ++g) {
      std::vector<double> of_group(choice_.begin() + g * size,
                                   choice_.begin() + (g + 1) * size);
      std::sort(of_group.rbegin(), of_group.rend());
      const bool top2 = shape_.scoring == RouterScoring::kSigmoid;
      groups.push_back({of_group[0] + (top2 ? of_group[1] : 0), g});
    }
    std::sort(groups.rbegin(), groups.rend());
    std::set<int64_t> best;
    for (int64_t k = 0; k < shape_.groups_used; ++k) {
      best.insert(groups[k].second);
    }
    return best;
  }

  RouterShape shape_;
  std::vector<double> scores_, choice_;
};

TEST(Router, EqualsTheRulesOfThePublishedModels) {
  std::mt19937 random(3);
  std::normal_distribution<float> logit(0, 2), offset(0, 0.2f);
  for (const RouterShape& shape : {V2Lite(), V2(), V3(), KimiK2()}) {
    for (int token = 0; token < 200; ++token) {
      std::vector<float> logits(shape.experts), bias;
      for (float& x : logits) x = logit(random);
      if (shape.scoring == RouterScoring::kSigmoid) {
        bias.resize(shape.experts);
        for (float& b : bias) b = offset(random);
      }
      const Reference expected(shape, logits, bias);
      const Routed routed = Route(shape, logits, bias);
      EXPECT_EQ(routed.ids, expected.Ids());
      const std::vector<double> weights = expected.Weights();
      for (size_t k = 0; k < weights.size(); ++k) {
        // A score: exponential, sum of up to 256 of them, quotient; then a sum
        // of 8 and two factors.
        EXPECT_NEAR(routed.weights[k], weights[k],
                    (256 + 16) * 0x1p-24 * weights[k]);
      }
    }
  }
}

TEST(Router, BiasMovesTheChoiceButNotTheWeight) {
  const RouterShape shape = {4, 1, 1, 1, RouterScoring::kSigmoid, false, 1};
  const std::vector<float> logits = {Logit(0.5), Logit(0.6), Logit(0.7),
                                     Logit(0.8)};
  EXPECT_THAT(Route(shape, logits).ids, ElementsAre(3));
  const Routed biased = Route(shape, logits, {0.35f, 0, 0, 0});
  EXPECT_THAT(biased.ids, ElementsAre(0));
  EXPECT_NEAR(biased.weights[0], 0.5, 1e-6);
}

TEST(Router, SigmoidGroupsCountTheirTwoBest) {
  // Group 0 has the best expert, group 1 the best pair.
  const std::vector<float> logits = {Logit(0.9), Logit(0.1), Logit(0.6),
                                     Logit(0.7)};
  const RouterShape v3 = {4, 2, 2, 1, RouterScoring::kSigmoid, false, 1};
  EXPECT_THAT(Route(v3, logits).ids, ElementsAre(3, 2));
}

TEST(Router, SoftmaxGroupsCountTheirBest) {
  const std::vector<float> logits = {3, 0, 2, 2.5};
  const RouterShape v2 = {4, 2, 2, 1, RouterScoring::kSoftmax, false, 1};
  EXPECT_THAT(Route(v2, logits).ids, ElementsAre(0, 1));
}

TEST(Router, GroupsOfOneExpert) {
  const RouterShape shape = {4, 2, 4, 2, RouterScoring::kSigmoid, false, 1};
  EXPECT_THAT(Route(shape, {1, 4, 2, 3}).ids, ElementsAre(1, 3));
}

// Were excluded experts set to zero, they would win against negative choices.
TEST(Router, ExcludedExpertsRankBelowNegativeChoices) {
  const RouterShape shape = {8, 3, 2, 1, RouterScoring::kSigmoid, true, 1};
  const std::vector<float> logits = {1, 2, 3, 4, 0, 0, 0, 0};
  const std::vector<float> bias(8, -10.0f);
  EXPECT_THAT(Route(shape, logits, bias).ids, ElementsAre(3, 2, 1));
}

TEST(Router, EqualChoicesGoToTheLowerIndex) {
  const RouterShape plain = {6, 3, 1, 1, RouterScoring::kSoftmax, false, 1};
  EXPECT_THAT(Route(plain, std::vector<float>(6, 0.5f)).ids,
              ElementsAre(0, 1, 2));
  const RouterShape grouped = {8, 2, 4, 1, RouterScoring::kSigmoid, true, 1};
  EXPECT_THAT(Route(grouped, {0, 0, 1, 1, 1, 1, 0, 0}).ids, ElementsAre(2, 3));
}

TEST(Router, NaNRanksBelowEveryNumber) {
  const RouterShape shape = {4, 3, 1, 1, RouterScoring::kSigmoid, true, 1};
  const Routed routed = Route(shape, {kNaN, -50, 0, -80});
  EXPECT_THAT(routed.ids, ElementsAre(2, 1, 3));
  const Routed biased = Route(shape, {3, -50, 0, -80}, {kNaN, 0, 0, 0});
  EXPECT_THAT(biased.ids, ElementsAre(2, 1, 3));
}

// A damaged file: the choice means nothing, but it is a choice.
TEST(Router, AnyNumbersGiveDistinctExperts) {
  const std::vector<float> odd = {kNaN,   kInfinity, -kInfinity, 3e38f,
                                  -3e38f, 0,         1,          -1};
  std::mt19937 random(5);
  for (RouterShape shape : {V2(), V3(), KimiK2()}) {
    for (int round = 0; round < 300; ++round) {
      std::vector<float> logits(shape.experts), bias(shape.experts);
      // Few kinds of values a round, so that all of a group may be alike.
      const int kinds = 1 + round % 4;
      const auto pick = [&] { return odd[(round + random() % kinds) % 8]; };
      for (float& x : logits) x = pick();
      for (float& b : bias) b = pick();
      const Routed routed = Route(shape, logits, bias);
      const std::set<int32_t> distinct(routed.ids.begin(), routed.ids.end());
      EXPECT_EQ(static_cast<int64_t>(distinct.size()), shape.experts_per_token);
      EXPECT_GE(*distinct.begin(), 0);
      EXPECT_LT(*distinct.rbegin(), shape.experts);
    }
  }
}

TEST(Router, NormalisedWeightsSumToTheScale) {
  std::vector<float> logits(256);
  for (int e = 0; e < 256; ++e) logits[e] = std::sin(static_cast<float>(e));
  const Routed routed = Route(V3(), logits);
  const double sum =
      std::accumulate(routed.weights.begin(), routed.weights.end(), 0.0);
  EXPECT_NEAR(sum, 2.5, 2.5 * 16 * 0x1p-24);
  EXPECT_TRUE(std::is_sorted(routed.weights.rbegin(), routed.weights.rend()));
}

TEST(Router, ScoresThatUnderflowGiveZeroWeights) {
  const RouterShape shape = {4, 2, 1, 1, RouterScoring::kSigmoid, true, 1};
  const Routed routed = Route(shape, std::vector<float>(4, -200.0f));
  EXPECT_THAT(routed.weights, Each(0.0f));
}

TEST(Router, LargeLogitsDoNotOverflow) {
  const RouterShape shape = {3, 2, 1, 1, RouterScoring::kSoftmax, false, 1};
  const Routed routed = Route(shape, {1000, 1001, -1000});
  EXPECT_THAT(routed.ids, ElementsAre(1, 0));
  EXPECT_NEAR(routed.weights[0], 1 / (1 + std::exp(-1.0)), 1e-6);
}

}  // namespace
}  // namespace mlad
