// What a load test sends: when, and how long prompts and answers are.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mlad {

/// Numbers of tokens.
class LengthDistribution {
 public:
  /// "512", or "lognormal:MEDIAN:SIGMA:MOST": exp(ln(MEDIAN) + SIGMA * normal),
  /// 1 to MOST. Errors: kInvalidArgument saying what is wrong.
  static absl::StatusOr<LengthDistribution> Parse(std::string_view text);
  int64_t Draw(std::mt19937_64& random) const;

 private:
  double median_ = 1;
  double sigma_ = 0;
  int64_t most_ = 1;
};

/// Of the conversations in Azure's published trace of 16 November 2023
/// (AzureLLMInferenceTrace_conv.csv, 19,366 requests): mean and deviation of
/// the logarithms, and the largest value.
inline constexpr char kConversationPrompts[] = "lognormal:760:0.985:14050";
inline constexpr char kConversationAnswers[] = "lognormal:151:0.859:1000";

struct RequestLengths {
  int64_t prompt_tokens = 1;
  int64_t output_tokens = 1;
};

/// The columns ContextTokens and GeneratedTokens of a CSV file with a head
/// line, as Azure's traces have them. Errors: kInvalidArgument naming the line.
absl::StatusOr<std::vector<RequestLengths>> ParseTrace(std::string_view csv);

struct PlannedRequest {
  double at_s = 0;  // from the start; ascending
  RequestLengths lengths;
};

struct LoadPlan {
  int64_t requests = 100;
  double rate = 1;  // requests/s, arriving as a Poisson process; 0: all at once
  LengthDistribution prompts, answers;
  std::vector<RequestLengths> trace;  // if not empty: drawn from these
  int64_t most_tokens = 0;  // of prompt and answer together; 0: no limit
  uint64_t seed = 1;
};

/// The same plan gives the same requests, on every machine.
std::vector<PlannedRequest> PlanRequests(const LoadPlan& plan);

/// Random ids of ordinary tokens: control tokens stand at both ends of the
/// vocabulary. The first `shared` depend on `seed` only, the others on `index`,
/// too.
std::vector<int32_t> RandomPrompt(int64_t tokens, int64_t shared, uint64_t seed,
                                  int64_t index, int64_t vocab_size);

}  // namespace mlad
