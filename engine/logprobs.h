// Log-probabilities of the model's own distribution, softmax(logits).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/types/span.h"

#include "engine/sampling.h"

namespace mlad {

/// Maps NaN and -inf to the lowest float and +inf to the highest: what follows
/// need not think of them.
inline float FiniteLogit(float logit) {
  constexpr float kLowest = std::numeric_limits<float>::lowest();
  return logit > kLowest ? std::min(logit, -kLowest) : kLowest;
}

/// ln(sum of exp(logits)), in double; log-probability = logit - this.
double LogNormalizer(absl::Span<const float> logits);

/// The `count` most probable tokens, best first, ties by ascending id.
std::vector<TokenLogprob> TopLogprobs(absl::Span<const float> logits,
                                      double log_normalizer, int count);

}  // namespace mlad
