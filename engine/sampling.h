// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace mlad {

struct SamplingParams {
  bool greedy = false;         // argmax after penalties; ties to the lower id
  float temperature = 1.0f;    // (0, 100]; 0 means greedy
  int32_t top_k = 0;           // 0: off
  float top_p = 1.0f;          // (0, 1]
  float min_p = 0.0f;          // [0, 1)
  float repetition_penalty = 1.0f;  // (0, 10]; over prompt and output
  float frequency_penalty = 0.0f;   // [-2, 2]; over the output
  float presence_penalty = 0.0f;    // [-2, 2]; over the output
  uint64_t seed = 0;           // 0: chosen by the engine, reported back
};

/// Errors: kInvalidArgument naming the value and its range.
absl::Status ValidateSampling(const SamplingParams& params);

struct TokenLogprob {
  int32_t id = 0;
  float logprob = 0;  // natural log, of the model's distribution
};

struct SampledToken {
  int32_t id = 0;
  float logprob = 0;
  std::vector<TokenLogprob> top;  // the wanted alternatives, best first
};

/// One sequence's sampler: penalties' history and random state. The result is a
/// function of seed, history and logits only.
class Sampler {
 public:
  /// `prompt` counts for the repetition penalty. params are valid.
  Sampler(const SamplingParams& params, absl::Span<const int32_t> prompt);
  /// Draws the next token and remembers it. `top_logprobs`: alternatives wanted.
  SampledToken Sample(absl::Span<const float> logits, int top_logprobs);

 private:
  SamplingParams params_;
  std::mt19937_64 random_;
  std::vector<std::pair<int32_t, int32_t>> output_counts_;
  std::vector<int32_t> seen_;
  std::vector<float> work_;
  std::vector<int32_t> order_;
};

/// Natural-log probability of `id` under softmax(logits), in double.
double LogProbability(absl::Span<const float> logits, int32_t id);

}  // namespace mlad
