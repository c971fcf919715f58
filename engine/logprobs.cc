#include "engine/logprobs.h"

#include <cmath>

#include "base/check.h"

namespace mlad {

double LogNormalizer(absl::Span<const float> logits) {
  MLAD_DCHECK(!logits.empty());
  float highest = std::numeric_limits<float>::lowest();
  for (const float logit : logits) {
    highest = std::max(highest, FiniteLogit(logit));
  }
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(static_cast<double>(FiniteLogit(logit)) - highest);
  }
  return highest + std::log(sum);
}

std::vector<TokenLogprob> TopLogprobs(absl::Span<const float> logits,
                                      double log_normalizer, int count) {
  std::vector<TokenLogprob> top;
  if (count <= 0) return top;
  top.reserve(count);
  const auto better = [](const TokenLogprob& a, const TokenLogprob& b) {
    return a.logprob > b.logprob || (a.logprob == b.logprob && a.id < b.id);
  };
  // A heap of the best so far with the worst of them in front. Ids ascend, so a
  // later token of equal logit never takes an earlier one's place.
  for (size_t i = 0; i < logits.size(); ++i) {
    const TokenLogprob token{static_cast<int32_t>(i), FiniteLogit(logits[i])};
    if (top.size() == static_cast<size_t>(count)) {
      if (!(token.logprob > top.front().logprob)) continue;
      std::pop_heap(top.begin(), top.end(), better);
      top.pop_back();
    }
    top.push_back(token);
    std::push_heap(top.begin(), top.end(), better);
  }
  std::sort_heap(top.begin(), top.end(), better);
  for (TokenLogprob& token : top) {
    token.logprob = static_cast<float>(token.logprob - log_normalizer);
  }
  return top;
}

double LogProbability(absl::Span<const float> logits, int32_t id) {
  MLAD_DCHECK(id >= 0 && id < static_cast<int64_t>(logits.size()));
  return FiniteLogit(logits[id]) - LogNormalizer(logits);
}

}  // namespace mlad
