// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/types/span.h"

#include "engine/token_mask.h"

namespace mlad {

/// Added to a token's logit.
struct LogitBias {
  int32_t id = 0;
  float bias = 0;  // [-100, 100]
};

inline constexpr size_t kMaxLogitBiases = 1024;

struct SamplingParams {
  bool greedy = false;       // argmax after penalties; ties to the lower id
  float temperature = 1.0f;  // (0, 100]; 0 means greedy
  int32_t top_k = 0;         // 0: off
  float top_p = 1.0f;        // (0, 1]
  float min_p = 0.0f;        // [0, 1)
  float repetition_penalty = 1.0f;  // (0, 10]; over prompt and output
  float frequency_penalty = 0.0f;   // [-2, 2]; over the output
  float presence_penalty = 0.0f;    // [-2, 2]; over the output
  uint64_t seed = 0;                // 0: chosen by the engine, reported back
  // At most kMaxLogitBiases, of ids in the vocabulary; of one id they add up.
  std::vector<LogitBias> logit_bias;
};

/// Most alternatives that can be asked for with a token.
inline constexpr int kMaxLogprobs = 20;

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
/// function of seed, history and logits only; the draw is own code, since the
/// distributions of <random> differ between libraries.
///
/// Order  penalties; bias; mask; temperature; min-p; top-k; top-p over what
///        these left; one draw. Ties are cut and listed by ascending id.
/// Edge   a logit that is NaN or -inf counts as the lowest float, +inf as the
///        highest
class Sampler {
 public:
  /// `prompt` counts for the repetition penalty. params are valid.
  Sampler(const SamplingParams& params, absl::Span<const int32_t> prompt);
  /// Draws the next token and remembers it. `top_logprobs`: alternatives
  /// wanted, 0 to kMaxLogprobs; -1: none, and the token's own logprob stays
  /// 0. `allowed`: what may be drawn, not empty; null: any token. Memory is
  /// allocated by the first call only (and for alternatives).
  SampledToken Sample(absl::Span<const float> logits, int top_logprobs,
                      const TokenMask* allowed = nullptr);

 private:
  /// A token that may be drawn. `score` is its logit, then its weight.
  struct Candidate {
    float score = 0;
    int32_t id = 0;
  };
  static bool Better(const Candidate& a, const Candidate& b) {
    return a.score > b.score || (a.score == b.score && a.id < b.id);
  }

  int32_t Choose(absl::Span<const float> logits, const TokenMask* allowed);
  void CollectCandidates(absl::Span<const float> logits);
  float HighestScore() const;
  void KeepMinP(float highest);
  void KeepTopK();
  /// Scores become weights exp((score - highest) / temperature); their sum.
  double TurnIntoWeights(float highest);
  /// `total`: sum of the weights. Returns what is kept of it.
  double KeepTopP(double total);
  int32_t Draw(double total);
  void Remember(int32_t id);

  SamplingParams params_;
  std::mt19937_64 random_;
  absl::flat_hash_set<int32_t> seen_;  // while there is a repetition penalty
  absl::flat_hash_map<int32_t, int32_t> output_counts_;  // with the other two
  std::vector<Candidate> candidates_;  // room for the whole vocabulary
};

/// Natural-log probability of `id` under softmax(logits), in double.
double LogProbability(absl::Span<const float> logits, int32_t id);

}  // namespace mlad
