#include "rpc/request_validation.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kVocab = 320;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Field {
  const char* name;
  void (v1::Sampling::*set)(float);
  float SamplingParams::*param;
  std::vector<float> good;
  std::vector<float> bad;
};

TEST(ReadSampling, RangesOfFloats) {
  const Field fields[] = {
      {"temperature",
       &v1::Sampling::set_temperature,
       &SamplingParams::temperature,
       {0, 0.5f, 100},
       {-0.1f, 100.1f}},
      {"top_p",
       &v1::Sampling::set_top_p,
       &SamplingParams::top_p,
       {1e-6f, 1},
       {0, -1, 1.001f}},
      {"min_p",
       &v1::Sampling::set_min_p,
       &SamplingParams::min_p,
       {0, 0.999f},
       {-0.1f, 1}},
      {"repetition_penalty",
       &v1::Sampling::set_repetition_penalty,
       &SamplingParams::repetition_penalty,
       {0.01f, 10},
       {0, -1, 10.1f}},
      {"frequency_penalty",
       &v1::Sampling::set_frequency_penalty,
       &SamplingParams::frequency_penalty,
       {-2, 0, 2},
       {-2.1f, 2.1f}},
      {"presence_penalty",
       &v1::Sampling::set_presence_penalty,
       &SamplingParams::presence_penalty,
       {-2, 0, 2},
       {-2.1f, 2.1f}},
  };
  for (const Field& field : fields) {
    for (const float value : field.good) {
      v1::Sampling sampling;
      (sampling.*field.set)(value);
      const auto params = ReadSampling(sampling, 100);
      ASSERT_TRUE(params.ok()) << field.name << " " << value;
      EXPECT_EQ((*params).*field.param, value);
    }
    std::vector<float> bad = field.bad;
    bad.insert(bad.end(), {kNan, kInfinity, -kInfinity});
    for (const float value : bad) {
      v1::Sampling sampling;
      (sampling.*field.set)(value);
      const auto params = ReadSampling(sampling, 100);
      ASSERT_FALSE(params.ok()) << field.name << " " << value;
      EXPECT_EQ(params.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(
          std::string(params.status().message()),
          HasSubstr(std::string("options.sampling.") + field.name + " is "));
    }
  }
}

TEST(ReadSampling, DefaultsAreThoseOfTheProtoFile) {
  const auto params = ReadSampling(v1::Sampling(), 100);
  ASSERT_TRUE(params.ok());
  EXPECT_FALSE(params->greedy);
  EXPECT_EQ(params->temperature, 0.7f);
  EXPECT_EQ(params->top_k, 0);
  EXPECT_EQ(params->top_p, 0.95f);
  EXPECT_EQ(params->min_p, 0);
  EXPECT_EQ(params->repetition_penalty, 1);
  EXPECT_EQ(params->frequency_penalty, 0);
  EXPECT_EQ(params->presence_penalty, 0);
  EXPECT_EQ(params->seed, 0u);
}

TEST(ReadSampling, WhatItsDefaultsAllowTheEngineAllows) {
  const auto params = ReadSampling(v1::Sampling(), 100);
  ASSERT_TRUE(params.ok());
  EXPECT_TRUE(ValidateSampling(*params).ok());
}

TEST(ReadGenerationOptions, TakesOverEveryField) {
  v1::GenerationOptions options;
  options.mutable_sampling()->set_greedy(true);
  options.mutable_sampling()->set_top_k(40);
  options.mutable_sampling()->set_seed(99);
  options.set_max_tokens(7);
  options.add_stop("\n\n");
  options.add_stop("END");
  options.add_stop_token_ids(5);
  options.set_ignore_eos(true);
  options.set_logprobs(0);
  const auto request = ReadGenerationOptions(options, kVocab);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_TRUE(request->sampling.greedy);
  EXPECT_EQ(request->sampling.top_k, 40);
  EXPECT_EQ(request->sampling.seed, 99u);
  EXPECT_EQ(request->max_tokens, 7);
  EXPECT_THAT(request->stop, ElementsAre("\n\n", "END"));
  EXPECT_THAT(request->stop_token_ids, ElementsAre(5));
  EXPECT_TRUE(request->ignore_eos);
  EXPECT_EQ(request->logprobs, 0);
}

TEST(ReadGenerationOptions, TakesOverFormatsAndBiases) {
  v1::GenerationOptions options;
  v1::LogitBias& bias = *options.mutable_sampling()->add_logit_bias();
  bias.set_id(7);
  bias.set_bias(-2.5f);
  options.set_json_schema("{}");
  options.set_split_reasoning(true);
  options.set_prompt_logprobs(3);
  const auto request = ReadGenerationOptions(options, kVocab);
  ASSERT_TRUE(request.ok()) << request.status();
  ASSERT_EQ(request->sampling.logit_bias.size(), 1u);
  EXPECT_EQ(request->sampling.logit_bias[0].id, 7);
  EXPECT_EQ(request->sampling.logit_bias[0].bias, -2.5f);
  EXPECT_EQ(request->format.kind, OutputFormat::Kind::kJsonSchema);
  EXPECT_EQ(request->format.text, "{}");
  EXPECT_TRUE(request->split_reasoning);
  EXPECT_EQ(request->prompt_logprobs, 3);

  options.set_grammar("root ::= \"a\"");
  EXPECT_EQ(ReadGenerationOptions(options, kVocab)->format.kind,
            OutputFormat::Kind::kGrammar);
  options.set_json_object(true);
  EXPECT_EQ(ReadGenerationOptions(options, kVocab)->format.kind,
            OutputFormat::Kind::kJsonObject);
  options.set_json_object(false);
  EXPECT_EQ(ReadGenerationOptions(options, kVocab)->format.kind,
            OutputFormat::Kind::kFree);
}

TEST(ReadGenerationOptions, NothingSetMeansNoLimits) {
  const auto request = ReadGenerationOptions(v1::GenerationOptions(), kVocab);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->max_tokens, 0);
  EXPECT_FALSE(request->ignore_eos);
  EXPECT_EQ(request->logprobs, -1);
}

TEST(ReadGenerationOptions, NamesTheFieldItsValueAndItsRange) {
  using Options = v1::GenerationOptions;
  const struct {
    std::function<void(Options&)> change;
    const char* message;
  } cases[] = {
      {[](Options& o) { o.mutable_sampling()->set_top_k(-1); },
       "options.sampling.top_k is -1; it must be at least 0"},
      {[](Options& o) { o.mutable_sampling()->set_temperature(200); },
       "options.sampling.temperature is 200; it must be in [0, 100]"},
      {[](Options& o) { o.mutable_sampling()->set_top_p(0); },
       "options.sampling.top_p is 0; it must be in (0, 1]"},
      {[](Options& o) { o.mutable_sampling()->set_min_p(1); },
       "options.sampling.min_p is 1; it must be in [0, 1)"},
      {[](Options& o) { o.set_max_tokens(0); },
       "options.max_tokens is 0; it must be at least 1"},
      {[](Options& o) { o.set_max_tokens(-5); }, "options.max_tokens is -5"},
      {[](Options& o) { o.add_stop(""); },
       "the size of options.stop[0] is 0 bytes; it must be 1 to 256 bytes"},
      {[](Options& o) {
         o.add_stop("fine");
         o.add_stop(std::string(257, 'x'));
       },
       "the size of options.stop[1] is 257 bytes"},
      {[](Options& o) {
         for (int i = 0; i < 17; ++i) o.add_stop("x");
       },
       "the number of options.stop is 17; it must be at most 16"},
      {[](Options& o) {
         for (int i = 0; i < 65; ++i) o.add_stop_token_ids(1);
       },
       "the number of options.stop_token_ids is 65; it must be at most 64"},
      {[](Options& o) { o.add_stop_token_ids(kVocab); },
       "options.stop_token_ids[0] is 320; it must be in [0, 320)"},
      {[](Options& o) { o.set_logprobs(21); },
       "options.logprobs is 21; it must be in [0, 20]"},
      {[](Options& o) { o.set_logprobs(-1); }, "options.logprobs is -1"},
      {[](Options& o) { o.set_prompt_logprobs(21); },
       "options.prompt_logprobs is 21; it must be in [0, 20]"},
      {[](Options& o) {
         o.mutable_sampling()->add_logit_bias()->set_id(kVocab);
       },
       "options.sampling.logit_bias[0].id is 320; it must be in [0, 320)"},
      {[](Options& o) {
         o.mutable_sampling()->add_logit_bias()->set_bias(-101);
       },
       "options.sampling.logit_bias[0].bias is -101; it must be in [-100, "
       "100]"},
      {[](Options& o) {
         for (int i = 0; i < 1025; ++i) o.mutable_sampling()->add_logit_bias();
       },
       "the number of options.sampling.logit_bias is 1025"},
      {[](Options& o) {
         o.set_ignore_eos(true);
         o.set_json_object(true);
       },
       "options.ignore_eos does not go with"},
  };
  for (const auto& expected : cases) {
    Options options;
    expected.change(options);
    const auto request = ReadGenerationOptions(options, kVocab);
    ASSERT_FALSE(request.ok()) << expected.message;
    EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(request.status().message()),
                HasSubstr(expected.message));
  }
}

TEST(ReadGenerationOptions, LimitsAreInclusive) {
  v1::GenerationOptions options;
  for (int i = 0; i < 16; ++i) options.add_stop(std::string(256, 'x'));
  for (int i = 0; i < 64; ++i) options.add_stop_token_ids(kVocab - 1);
  options.set_logprobs(20);
  options.set_max_tokens(1);
  EXPECT_TRUE(ReadGenerationOptions(options, kVocab).ok());
}

TEST(ReadTokenIds, NamesTheFirstIdOutsideTheVocabulary) {
  v1::TokenIds ids;
  ids.add_ids(0);
  ids.add_ids(kVocab - 1);
  EXPECT_THAT(*ReadTokenIds(ids.ids(), kVocab, "ids"),
              ElementsAre(0, kVocab - 1));
  ids.add_ids(-1);
  ids.add_ids(kVocab);
  EXPECT_THAT(
      std::string(ReadTokenIds(ids.ids(), kVocab, "ids").status().message()),
      HasSubstr("ids[2] is -1; it must be in [0, 320)"));
}

TEST(ValidateMessages, WantsMessagesOfKnownRoles) {
  v1::ChatRequest request;
  EXPECT_THAT(std::string(ValidateMessages(request).message()),
              HasSubstr("messages is empty"));
  for (const char* role : {"system", "user", "assistant"}) {
    request.add_messages()->set_role(role);
  }
  EXPECT_TRUE(ValidateMessages(request).ok());
  request.add_messages()->set_role("tool");
  const absl::Status status = ValidateMessages(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("messages[3].role is 'tool'"));
}

}  // namespace
}  // namespace mlad
