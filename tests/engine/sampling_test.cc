#include "engine/sampling.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

SamplingParams Params(const std::function<void(SamplingParams&)>& change) {
  SamplingParams params;
  params.seed = 1;
  change(params);
  return params;
}

/// Logits of a sharpness as models have it.
std::vector<float> RandomLogits(int64_t count, float deviation, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<float> logits;
  for (int64_t i = 0; i < count; ++i) {
    // A sum of three uniforms: bell-shaped, the same with every library.
    float sum = 0;
    for (int j = 0; j < 3; ++j) {
      sum += static_cast<float>(random() >> 40) * 0x1p-24f * 2 - 1;
    }
    logits.push_back(sum * deviation);
  }
  return logits;
}

/// The distribution that params ask for, the plain way: sort, cut, normalise.
std::vector<double> ExpectedDistribution(const SamplingParams& params,
                                         const std::vector<float>& logits) {
  const size_t n = logits.size();
  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  std::vector<double> weights(n);
  for (size_t i = 0; i < n; ++i) {
    weights[i] = std::exp((static_cast<double>(logits[i]) - logits[order[0]]) /
                          params.temperature);
  }
  size_t kept = 0;
  while (kept < n && weights[order[kept]] >= params.min_p) ++kept;
  if (params.top_k > 0) kept = std::min<size_t>(kept, params.top_k);
  double total = 0;
  for (size_t i = 0; i < kept; ++i) total += weights[order[i]];
  double sum = 0;
  for (size_t i = 0; i < kept; ++i) {
    sum += weights[order[i]];
    if (sum >= total * params.top_p) kept = i + 1;
  }
  std::vector<double> probabilities(n, 0.0);
  for (size_t i = 0; i < kept; ++i) {
    probabilities[order[i]] = weights[order[i]] / sum;
  }
  return probabilities;
}

/// Upper 1e-6 quantile of the chi-square distribution (Wilson and Hilferty
/// 1931; z = 4.753 is the normal distribution's): a right sampler exceeds it
/// with one seed in a million, and the seeds here are fixed.
double ChiSquareLimit(double freedom) {
  const double a = 2 / (9 * freedom);
  return freedom * std::pow(1 - a + 4.753 * std::sqrt(a), 3);
}

struct ChiSquare {
  double statistic = 0;
  double limit = 0;
};

/// Draws and compares with `expected`. Impossible tokens fail at once;
/// neighbours are counted together up to 10 expected draws, below which the
/// statistic is not chi-square.
ChiSquare CompareDraws(const SamplingParams& params,
                       const std::vector<float>& logits,
                       const std::vector<double>& expected, int draws) {
  Sampler sampler(params, {});
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i) ++counts[sampler.Sample(logits, -1).id];
  ChiSquare result;
  int bins = 0;
  double wanted = 0;
  double counted = 0;
  double wanted_later = draws;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (expected[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " cannot be drawn";
      continue;
    }
    wanted += expected[i] * draws;
    counted += counts[i];
    if (wanted < 10 || wanted_later - wanted < 10) continue;
    result.statistic += (counted - wanted) * (counted - wanted) / wanted;
    ++bins;
    wanted_later -= wanted;
    wanted = counted = 0;
  }
  if (bins == 0) return {0, 0};  // one possible token, and it was always drawn
  result.statistic += (counted - wanted) * (counted - wanted) / wanted;
  result.limit = ChiSquareLimit(bins);
  return result;
}

void ExpectDistribution(const SamplingParams& params,
                        const std::vector<float>& logits, int draws) {
  const ChiSquare result =
      CompareDraws(params, logits, ExpectedDistribution(params, logits), draws);
  EXPECT_LE(result.statistic, result.limit);
}

TEST(Sampler, DrawsFromTheExactDistribution) {
  const std::vector<float> logits = RandomLogits(50, 1.5f, 3);
  const std::map<std::string, SamplingParams> cases = {
      {"plain", Params([](SamplingParams&) {})},
      {"cold", Params([](SamplingParams& p) { p.temperature = 0.5f; })},
      {"hot", Params([](SamplingParams& p) { p.temperature = 2; })},
      {"top-k 1", Params([](SamplingParams& p) { p.top_k = 1; })},
      {"top-k 7", Params([](SamplingParams& p) { p.top_k = 7; })},
      {"top-k all", Params([](SamplingParams& p) { p.top_k = 50; })},
      {"top-k more", Params([](SamplingParams& p) { p.top_k = 1000; })},
      {"top-p .1", Params([](SamplingParams& p) { p.top_p = 0.1f; })},
      {"top-p .6", Params([](SamplingParams& p) { p.top_p = 0.6f; })},
      {"top-p .999", Params([](SamplingParams& p) { p.top_p = 0.999f; })},
      {"min-p .05", Params([](SamplingParams& p) { p.min_p = 0.05f; })},
      {"min-p .7", Params([](SamplingParams& p) { p.min_p = 0.7f; })},
      {"all", Params([](SamplingParams& p) {
         p.temperature = 0.8f;
         p.top_k = 20;
         p.top_p = 0.9f;
         p.min_p = 0.02f;
       })}};
  for (const auto& [name, params] : cases) {
    SCOPED_TRACE(name);
    ExpectDistribution(params, logits, 40'000);
  }
}

TEST(Sampler, DrawsFromTheExactDistributionOfALargeVocabulary) {
  // Large enough for every way of selecting: heap, partition, batches.
  const std::vector<float> flat = RandomLogits(2000, 0.3f, 4);
  const std::vector<float> peaked = RandomLogits(2000, 4, 5);
  const std::map<std::string, SamplingParams> cases = {
      {"top-k 900", Params([](SamplingParams& p) { p.top_k = 900; })},
      {"top-k 1200", Params([](SamplingParams& p) { p.top_k = 1200; })},
      {"top-p .95", Params([](SamplingParams& p) { p.top_p = 0.95f; })},
      {"top-p .3", Params([](SamplingParams& p) { p.top_p = 0.3f; })},
      {"both", Params([](SamplingParams& p) {
         p.top_k = 1300;
         p.top_p = 0.8f;
       })}};
  for (const auto& [name, params] : cases) {
    SCOPED_TRACE(name);
    ExpectDistribution(params, flat, 2'000);
    ExpectDistribution(params, peaked, 2'000);
  }
}

TEST(Sampler, TheComparisonSeesASlightlyWrongDistribution) {
  const std::vector<float> logits = RandomLogits(50, 1.5f, 3);
  const SamplingParams right = Params([](SamplingParams&) {});
  const SamplingParams wrong =
      Params([](SamplingParams& p) { p.temperature = 1.08f; });
  const ChiSquare result =
      CompareDraws(right, logits, ExpectedDistribution(wrong, logits), 40'000);
  EXPECT_GT(result.statistic, result.limit);
}

TEST(Sampler, GreedyTakesTheBestAndOfEqualsTheLowestId) {
  const std::vector<float> logits = {1, 3, -2, 3, 0};
  const std::vector<SamplingParams> ways = {
      Params([](SamplingParams& p) { p.greedy = true; }),
      Params([](SamplingParams& p) { p.temperature = 0; }),
      Params([](SamplingParams& p) { p.top_k = 1; }),
      Params([](SamplingParams& p) { p.top_p = 1e-6f; })};
  for (const SamplingParams& params : ways) {
    Sampler sampler(params, {});
    for (int i = 0; i < 50; ++i) EXPECT_EQ(sampler.Sample(logits, -1).id, 1);
  }
}

TEST(Sampler, ATinyTemperatureDoesNotOverflow) {
  Sampler sampler(Params([](SamplingParams& p) { p.temperature = 1e-38f; }),
                  {});
  const std::vector<float> logits = {1, 1.0001f, -30000, 0.5f};
  for (int i = 0; i < 50; ++i) EXPECT_EQ(sampler.Sample(logits, -1).id, 1);
}

TEST(Sampler, TiesAtTheBorderOfTopKKeepTheLowerIds) {
  const std::vector<float> logits = {0, 2, 0, 0, 2, 0};
  const SamplingParams params = Params([](SamplingParams& p) { p.top_k = 3; });
  Sampler sampler(params, {});
  std::map<int32_t, int> counts;
  for (int i = 0; i < 1000; ++i) ++counts[sampler.Sample(logits, -1).id];
  EXPECT_THAT(counts, testing::ElementsAre(testing::Key(0), testing::Key(1),
                                           testing::Key(4)));
}

TEST(Sampler, AboveMinPOfTheBestStays) {
  // Weights 1, 0.5 and 0.25 of the best.
  const std::vector<float> logits = {0, std::log(0.5f), std::log(0.25f)};
  Sampler sampler(Params([](SamplingParams& p) { p.min_p = 0.4f; }), {});
  std::map<int32_t, int> counts;
  for (int i = 0; i < 1000; ++i) ++counts[sampler.Sample(logits, -1).id];
  EXPECT_THAT(counts, testing::ElementsAre(testing::Key(0), testing::Key(1)));
}

TEST(Sampler, TheDrawIsTheInverseOfTheCumulativeDistribution) {
  const std::vector<float> logits = {0, 1, 2, 1};
  const SamplingParams params = Params([](SamplingParams& p) { p.seed = 42; });
  Sampler sampler(params, {});
  std::mt19937_64 random(42);  // whose numbers the C++ standard fixes
  const double total = 1 + 2 * std::exp(1.0) + std::exp(2.0);
  for (int i = 0; i < 1000; ++i) {
    const double target = static_cast<double>(random() >> 11) * 0x1p-53 * total;
    int32_t expected = 0;
    double sum = 1;
    while (sum <= target) sum += std::exp(logits[++expected]);
    EXPECT_EQ(sampler.Sample(logits, -1).id, expected);
  }
}

TEST(Sampler, SameSeedSameTokensOtherSeedOtherTokens) {
  const std::vector<float> logits = RandomLogits(1000, 1, 6);
  const auto draw = [&](uint64_t seed) {
    Sampler sampler(Params([=](SamplingParams& p) {
                      p.seed = seed;
                      p.top_p = 0.95f;
                    }),
                    {});
    std::vector<int32_t> ids;
    for (int i = 0; i < 20; ++i) ids.push_back(sampler.Sample(logits, 3).id);
    return ids;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));
}

TEST(Sampler, BrokenLogitsAreNeverChosenOverGoodOnes) {
  const std::vector<float> logits = {kNaN, -kInfinity, -5, kNaN};
  for (const bool greedy : {true, false}) {
    Sampler sampler(Params([=](SamplingParams& p) { p.greedy = greedy; }), {});
    for (int i = 0; i < 50; ++i) {
      const SampledToken token = sampler.Sample(logits, 1);
      EXPECT_EQ(token.id, 2);
      EXPECT_FLOAT_EQ(token.logprob, 0);
    }
  }
}

TEST(Sampler, ChoosesSomeTokenWhateverTheLogits) {
  for (const std::vector<float>& logits : {std::vector<float>{kNaN, kNaN},
                                           {-kInfinity, -kInfinity},
                                           {kInfinity, 0},
                                           {3e38f, -3e38f}}) {
    Sampler sampler(Params([](SamplingParams& p) {
                      p.temperature = 0.1f;
                      p.top_p = 0.5f;
                      p.repetition_penalty = 10;
                    }),
                    {0, 1});
    for (int i = 0; i < 10; ++i) {
      const int32_t id = sampler.Sample(logits, 2).id;
      EXPECT_GE(id, 0);
      EXPECT_LT(id, 2);
    }
  }
}

SamplingParams Greedy(const std::function<void(SamplingParams&)>& change) {
  return Params([&](SamplingParams& p) {
    p.greedy = true;
    change(p);
  });
}

TEST(SamplerPenalty, RepetitionDividesPositiveAndMultipliesNegativeLogits) {
  const auto params =
      Greedy([](SamplingParams& p) { p.repetition_penalty = 2; });
  // 4 / 2 = 2 is below 3.
  EXPECT_EQ(Sampler(params, {0}).Sample({4, 3}, -1).id, 1);
  // 6.5 / 2 = 3.25 is not.
  EXPECT_EQ(Sampler(params, {0}).Sample({6.5f, 3}, -1).id, 0);
  // -1 * 2 = -2 is below -1.5.
  EXPECT_EQ(Sampler(params, {0}).Sample({-1, -1.5f}, -1).id, 1);
  EXPECT_EQ(Sampler(params, {}).Sample({-1, -1.5f}, -1).id, 0);
}

TEST(SamplerPenalty, RepetitionCountsPromptAndOutputOnce) {
  const auto params =
      Greedy([](SamplingParams& p) { p.repetition_penalty = 2; });
  Sampler sampler(params, {0, 0, 0});
  const std::vector<float> logits = {8, 5, 3};
  EXPECT_EQ(sampler.Sample(logits, -1).id, 1);  // 4 5 3
  EXPECT_EQ(sampler.Sample(logits, -1).id, 0);  // 4 2.5 3
  EXPECT_EQ(sampler.Sample(logits, -1).id, 0);  // still 4 2.5 3
}

TEST(SamplerPenalty, FrequencyGrowsWithEachTimeInTheOutput) {
  Sampler sampler(Greedy([](SamplingParams& p) { p.frequency_penalty = 1; }),
                  {0, 0, 0});
  const std::vector<float> logits = {5.2f, 3};
  std::vector<int32_t> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(sampler.Sample(logits, -1).id);
  EXPECT_THAT(ids, testing::ElementsAre(0, 0, 0, 1));  // 5.2 4.2 3.2 2.2
}

TEST(SamplerPenalty, PresenceCountsOnce) {
  Sampler sampler(Greedy([](SamplingParams& p) { p.presence_penalty = 2; }),
                  {0});
  const std::vector<float> logits = {5.5f, 4, 1};
  std::vector<int32_t> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(sampler.Sample(logits, -1).id);
  EXPECT_THAT(ids, testing::ElementsAre(0, 1, 0, 0));  // then 3.5 2 1
}

TEST(SamplerPenalty, NegativePenaltiesFavourRepetition) {
  Sampler sampler(Greedy([](SamplingParams& p) {
                    p.frequency_penalty = -1;
                    p.presence_penalty = -1;
                  }),
                  {});
  EXPECT_EQ(sampler.Sample({1, 0}, -1).id, 0);
  EXPECT_EQ(sampler.Sample({1, 2.5f}, -1).id, 0);
}

TEST(SamplerPenalty, RepetitionComesBeforeTheOthers) {
  // (6 / 2) - 1 = 2, not (6 - 1) / 2 = 2.5.
  Sampler sampler(Greedy([](SamplingParams& p) {
                    p.repetition_penalty = 2;
                    p.presence_penalty = 1;
                  }),
                  {});
  EXPECT_EQ(sampler.Sample({6, 0, 0}, -1).id, 0);
  EXPECT_EQ(sampler.Sample({6, 2.2f, 0}, -1).id, 1);
}

TEST(SamplerLogprobs, AreOfTheModelsOwnDistribution) {
  const std::vector<float> logits = RandomLogits(300, 2, 9);
  Sampler sampler(Params([](SamplingParams& p) {
                    p.temperature = 3;
                    p.top_k = 100;
                    p.repetition_penalty = 1.5f;
                    p.presence_penalty = 1;
                  }),
                  {1, 2, 3});
  double total = 0;
  for (const float logit : logits) total += std::exp(double{logit});
  for (int i = 0; i < 20; ++i) {
    const SampledToken token = sampler.Sample(logits, 5);
    // Rounded to float once; the sums in double differ by their order only.
    const double expected = logits[token.id] - std::log(total);
    EXPECT_NEAR(token.logprob, expected, std::abs(expected) * 0x1p-23);
    EXPECT_NEAR(LogProbability(logits, token.id), expected, 1e-12);
  }
}

TEST(SamplerLogprobs, ListTheBestFirstAndOfEqualsTheLowerId) {
  const std::vector<float> logits = {1, 5, 2, 5, 2, 0};
  Sampler sampler(Params([](SamplingParams&) {}), {});
  const SampledToken token = sampler.Sample(logits, 3);
  ASSERT_EQ(token.top.size(), 3u);
  EXPECT_EQ(token.top[0].id, 1);
  EXPECT_EQ(token.top[1].id, 3);
  EXPECT_EQ(token.top[2].id, 2);
  EXPECT_EQ(token.top[0].logprob, token.top[1].logprob);
  EXPECT_FLOAT_EQ(token.top[0].logprob - token.top[2].logprob, 3);
}

TEST(SamplerLogprobs, HoldNoMoreThanTheVocabulary) {
  Sampler sampler(Params([](SamplingParams&) {}), {});
  EXPECT_EQ(sampler.Sample({1, 2}, 20).top.size(), 2u);
  EXPECT_TRUE(sampler.Sample({1, 2}, 0).top.empty());
  EXPECT_LT(sampler.Sample({1, 2}, 0).logprob, 0);
  EXPECT_EQ(sampler.Sample({1, 2}, -1).logprob, 0);
}

TEST(SamplerLogprobs, DoNotChangeWhatIsDrawn) {
  const std::vector<float> logits = RandomLogits(100, 1, 10);
  Sampler with(Params([](SamplingParams&) {}), {});
  Sampler without(Params([](SamplingParams&) {}), {});
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(with.Sample(logits, 20).id, without.Sample(logits, -1).id);
  }
}

TEST(LogProbability, HoldsForLogitsWhoseExponentialsOverflow) {
  EXPECT_NEAR(LogProbability({1000, 1001}, 0), -1 - std::log1p(std::exp(-1)),
              1e-12);
  EXPECT_NEAR(LogProbability({-5000, -5000}, 1), -std::log(2), 1e-12);
  EXPECT_EQ(LogProbability({7}, 0), 0);
}

struct BadParams {
  std::string name;
  std::function<void(SamplingParams&)> change;
};

TEST(ValidateSampling, NamesTheValueThatIsOutOfRange) {
  const std::vector<BadParams> cases = {
      {"temperature", [](SamplingParams& p) { p.temperature = -0.1f; }},
      {"temperature", [](SamplingParams& p) { p.temperature = 100.5f; }},
      {"temperature", [](SamplingParams& p) { p.temperature = kNaN; }},
      {"top_k", [](SamplingParams& p) { p.top_k = -1; }},
      {"top_p", [](SamplingParams& p) { p.top_p = 0; }},
      {"top_p", [](SamplingParams& p) { p.top_p = 1.01f; }},
      {"top_p", [](SamplingParams& p) { p.top_p = kNaN; }},
      {"min_p", [](SamplingParams& p) { p.min_p = -0.1f; }},
      {"min_p", [](SamplingParams& p) { p.min_p = 1; }},
      {"min_p", [](SamplingParams& p) { p.min_p = kNaN; }},
      {"repetition_penalty",
       [](SamplingParams& p) { p.repetition_penalty = 0; }},
      {"repetition_penalty",
       [](SamplingParams& p) { p.repetition_penalty = 10.5f; }},
      {"repetition_penalty",
       [](SamplingParams& p) { p.repetition_penalty = kNaN; }},
      {"frequency_penalty",
       [](SamplingParams& p) { p.frequency_penalty = 2.5f; }},
      {"frequency_penalty",
       [](SamplingParams& p) { p.frequency_penalty = kNaN; }},
      {"presence_penalty",
       [](SamplingParams& p) { p.presence_penalty = -2.5f; }},
      {"presence_penalty",
       [](SamplingParams& p) { p.presence_penalty = kInfinity; }},
  };
  for (const BadParams& bad : cases) {
    const absl::Status status = ValidateSampling(Params(bad.change));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.name;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(bad.name));
  }
}

TEST(ValidateSampling, AcceptsTheEndsOfTheRanges) {
  EXPECT_TRUE(ValidateSampling({}).ok());
  EXPECT_TRUE(ValidateSampling(Params([](SamplingParams& p) {
                p.temperature = 0;
                p.top_p = 1e-6f;
                p.min_p = 0.999f;
                p.repetition_penalty = 1e-3f;
                p.frequency_penalty = -2;
                p.presence_penalty = -2;
              })).ok());
  EXPECT_TRUE(ValidateSampling(Params([](SamplingParams& p) {
                p.temperature = 100;
                p.top_k = 1 << 30;
                p.repetition_penalty = 10;
                p.frequency_penalty = 2;
                p.presence_penalty = 2;
              })).ok());
}

TEST(Sampler, BiasIsAddedBehindThePenalties) {
  std::vector<float> logits = {1, 2, 3};
  const auto greedy = [](std::vector<LogitBias> bias) {
    return Params([&](SamplingParams& p) {
      p.greedy = true;
      p.repetition_penalty = 10;
      p.logit_bias = std::move(bias);
    });
  };
  EXPECT_EQ(Sampler(greedy({}), {}).Sample(logits, -1).id, 2);
  EXPECT_EQ(Sampler(greedy({{2, -1.5f}}), {}).Sample(logits, -1).id, 1);
  EXPECT_EQ(Sampler(greedy({{0, 1.5f}, {0, 1}}), {}).Sample(logits, -1).id, 0);
  // The penalty would turn 3 + 2 into 0.5, but turns 3 into 0.3.
  EXPECT_EQ(
      Sampler(greedy({{2, 2}}), std::vector<int32_t>{2}).Sample(logits, -1).id,
      2);
  // The log-probability stays the model's own.
  EXPECT_FLOAT_EQ(Sampler(greedy({{0, 100}}), {}).Sample(logits, 0).logprob,
                  static_cast<float>(LogProbability(logits, 0)));
}

TEST(Sampler, DrawsAllowedTokensOnlyInTheirOwnProportions) {
  const std::vector<float> logits = RandomLogits(200, 2, 5);
  TokenMask allowed(200);
  std::vector<float> masked = logits;
  for (int32_t id = 0; id < 200; ++id) {
    if (id % 7 == 3) {
      allowed.Allow(id);
    } else {
      masked[id] = -kInfinity;
    }
  }
  const SamplingParams params = Params([](SamplingParams& p) {
    p.temperature = 0.9f;
    p.top_p = 0.9f;
    p.top_k = 12;
  });
  Sampler sampler(params, {});
  Sampler reference(params, {});
  for (int i = 0; i < 200; ++i) {
    const int32_t id = sampler.Sample(logits, -1, &allowed).id;
    EXPECT_TRUE(allowed.Allows(id));
    EXPECT_EQ(id, reference.Sample(masked, -1).id);
  }
}

TEST(ValidateSampling, NamesTheTokenWhoseBiasIsOutOfRange) {
  const auto biased = [](float bias) {
    return ValidateSampling(Params([&](SamplingParams& p) {
      p.logit_bias = {{17, bias}};
    }));
  };
  EXPECT_TRUE(biased(-100).ok());
  EXPECT_THAT(std::string(biased(kNaN).message()),
              testing::HasSubstr("token 17"));
  EXPECT_FALSE(biased(100.5f).ok());
}

}  // namespace
}  // namespace mlad
