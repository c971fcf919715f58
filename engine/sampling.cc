#include "engine/sampling.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status.h"
#include "engine/logprobs.h"

namespace mlad {
namespace {

// Up to here a heap over the vocabulary selects faster than a partition.
constexpr size_t kHeapSelection = 1024;
constexpr size_t kFirstNucleusBatch = 64;

absl::Status OutOfRange(absl::string_view name, double value,
                        absl::string_view range) {
  return absl::InvalidArgumentError(absl::StrCat(
      name, " is ", value, "; give a value in the range ", range, "."));
}

bool HasOutputPenalty(const SamplingParams& params) {
  return params.frequency_penalty != 0 || params.presence_penalty != 0;
}

bool IsGreedy(const SamplingParams& params) {
  return params.greedy || params.temperature == 0;
}

}  // namespace

// Written so that NaN fails every test.
absl::Status ValidateSampling(const SamplingParams& params) {
  if (!(params.temperature >= 0 && params.temperature <= 100)) {
    return OutOfRange("temperature", params.temperature, "[0, 100]");
  }
  if (params.top_k < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k is ", params.top_k,
                     "; give 0 for no limit, or the number of tokens."));
  }
  if (!(params.top_p > 0 && params.top_p <= 1)) {
    return OutOfRange("top_p", params.top_p, "(0, 1]");
  }
  if (!(params.min_p >= 0 && params.min_p < 1)) {
    return OutOfRange("min_p", params.min_p, "[0, 1)");
  }
  if (!(params.repetition_penalty > 0 && params.repetition_penalty <= 10)) {
    return OutOfRange("repetition_penalty", params.repetition_penalty,
                      "(0, 10]");
  }
  if (!(std::abs(params.frequency_penalty) <= 2)) {
    return OutOfRange("frequency_penalty", params.frequency_penalty, "[-2, 2]");
  }
  if (!(std::abs(params.presence_penalty) <= 2)) {
    return OutOfRange("presence_penalty", params.presence_penalty, "[-2, 2]");
  }
  if (params.logit_bias.size() > kMaxLogitBiases) {
    return absl::InvalidArgumentError(
        absl::StrCat("There are ", params.logit_bias.size(),
                     " logit biases; give at most ", kMaxLogitBiases, "."));
  }
  for (const LogitBias& bias : params.logit_bias) {
    if (!(std::abs(bias.bias) <= 100)) {
      return OutOfRange(absl::StrCat("the logit bias of token ", bias.id),
                        bias.bias, "[-100, 100]");
    }
  }
  return absl::OkStatus();
}

Sampler::Sampler(const SamplingParams& params, absl::Span<const int32_t> prompt)
    : params_(params), random_(params.seed) {
  if (params_.repetition_penalty != 1) {
    seen_.insert(prompt.begin(), prompt.end());
  }
}

SampledToken Sampler::Sample(absl::Span<const float> logits, int top_logprobs,
                             const TokenMask* allowed) {
  MLAD_DCHECK(!logits.empty());
  SampledToken token;
  token.id = Choose(logits, allowed);
  if (top_logprobs >= 0) {
    const double log_normalizer = LogNormalizer(logits);
    token.logprob =
        static_cast<float>(FiniteLogit(logits[token.id]) - log_normalizer);
    token.top = TopLogprobs(logits, log_normalizer, top_logprobs);
  }
  Remember(token.id);
  return token;
}

int32_t Sampler::Choose(absl::Span<const float> logits,
                        const TokenMask* allowed) {
  CollectCandidates(logits);
  if (allowed != nullptr) {
    std::erase_if(candidates_, [allowed](const Candidate& candidate) {
      return !allowed->Allows(candidate.id);
    });
    MLAD_DCHECK(!candidates_.empty());
  }
  if (IsGreedy(params_)) {
    return std::min_element(candidates_.begin(), candidates_.end(), Better)->id;
  }
  const float highest = HighestScore();
  KeepMinP(highest);
  KeepTopK();
  double total = TurnIntoWeights(highest);
  if (params_.top_p < 1) total = KeepTopP(total);
  return Draw(total);
}

void Sampler::CollectCandidates(absl::Span<const float> logits) {
  candidates_.resize(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates_[i] = {FiniteLogit(logits[i]), static_cast<int32_t>(i)};
  }
  for (const int32_t id : seen_) {  // arXiv:1909.05858 section 4.1
    float& score = candidates_[id].score;
    score = FiniteLogit(score > 0 ? score / params_.repetition_penalty
                                  : score * params_.repetition_penalty);
  }
  for (const auto& [id, count] : output_counts_) {
    float& score = candidates_[id].score;
    score = FiniteLogit(score - params_.presence_penalty -
                        params_.frequency_penalty * static_cast<float>(count));
  }
  for (const LogitBias& bias : params_.logit_bias) {
    float& score = candidates_[bias.id].score;
    score = FiniteLogit(score + bias.bias);
  }
}

float Sampler::HighestScore() const {
  float highest = candidates_.front().score;
  for (const Candidate& candidate : candidates_) {
    highest = std::max(highest, candidate.score);
  }
  return highest;
}

void Sampler::KeepMinP(float highest) {
  if (params_.min_p == 0) return;
  const double lowest = highest + static_cast<double>(params_.temperature) *
                                      std::log(params_.min_p);
  std::erase_if(candidates_, [lowest](const Candidate& candidate) {
    return candidate.score < lowest;
  });
}

void Sampler::KeepTopK() {
  const size_t k = static_cast<size_t>(params_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  const auto end = candidates_.begin() + params_.top_k;
  if (k <= kHeapSelection) {
    std::partial_sort(candidates_.begin(), end, candidates_.end(), Better);
  } else {
    std::nth_element(candidates_.begin(), end, candidates_.end(), Better);
    // The draw walks the candidates: their order must not be the library's.
    std::sort(candidates_.begin(), end, Better);
  }
  candidates_.resize(k);
}

double Sampler::TurnIntoWeights(float highest) {
  double total = 0;
  for (Candidate& candidate : candidates_) {
    candidate.score =
        std::exp((candidate.score - highest) / params_.temperature);
    total += candidate.score;
  }
  return total;
}

double Sampler::KeepTopP(double total) {
  const double wanted = total * params_.top_p;
  // All candidates below the floor together weigh less than what is cut off, so
  // none of them is in the nucleus. Few of a large vocabulary are above it.
  const double floor =
      (total - wanted) / static_cast<double>(candidates_.size());
  std::erase_if(candidates_, [floor](const Candidate& candidate) {
    return candidate.score < floor;
  });
  const auto begin = candidates_.begin();
  size_t sorted = 0;
  double kept = 0;
  while (sorted < candidates_.size()) {
    const size_t batch = std::min(candidates_.size() - sorted,
                                  std::max(kFirstNucleusBatch, 3 * sorted));
    const auto batch_begin = begin + static_cast<std::ptrdiff_t>(sorted);
    const auto batch_end = batch_begin + static_cast<std::ptrdiff_t>(batch);
    if (batch_end != candidates_.end()) {
      std::nth_element(batch_begin, batch_end, candidates_.end(), Better);
    }
    std::sort(batch_begin, batch_end, Better);
    for (const size_t batch_last = sorted + batch; sorted < batch_last;) {
      kept += candidates_[sorted++].score;
      if (kept >= wanted) {
        candidates_.resize(sorted);
        return kept;
      }
    }
  }
  return kept;
}

int32_t Sampler::Draw(double total) {
  const double uniform = static_cast<double>(random_() >> 11) * 0x1p-53;
  const double target = uniform * total;
  double sum = 0;
  for (const Candidate& candidate : candidates_) {
    sum += candidate.score;
    if (sum > target) return candidate.id;
  }
  // Only rounding leads here: the last one with any weight.
  const auto last = std::find_if(
      candidates_.rbegin(), candidates_.rend(),
      [](const Candidate& candidate) { return candidate.score > 0; });
  return last->id;
}

void Sampler::Remember(int32_t id) {
  if (params_.repetition_penalty != 1) seen_.insert(id);
  if (HasOutputPenalty(params_)) ++output_counts_[id];
}

}  // namespace mlad
