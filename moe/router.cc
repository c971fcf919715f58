#include "moe/router.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mlad {
namespace {

// Choices are kept within +-kLargestChoice, so that no bias of a file makes a
// sum of two infinite. Excluded experts rank below eligible ones (their choice
// may be negative), experts already taken below all.
constexpr float kLargestChoice = 1e30f;
constexpr float kExcluded = std::numeric_limits<float>::lowest();
constexpr float kTaken = -std::numeric_limits<float>::infinity();

float Choice(float score, float bias) {
  const float choice = score + bias;
  if (std::isnan(choice)) return kExcluded;
  return std::clamp(choice, -kLargestChoice, kLargestChoice);
}

void ComputeScores(const RouterShape& shape, absl::Span<const float> logits,
                   float* scores) {
  const size_t n = logits.size();
  if (shape.scoring == RouterScoring::kSigmoid) {
    for (size_t i = 0; i < n; ++i) scores[i] = 1 / (1 + std::exp(-logits[i]));
    return;
  }
  const float peak = *std::max_element(logits.begin(), logits.end());
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += scores[i] = std::exp(logits[i] - peak);
  for (size_t i = 0; i < n; ++i) scores[i] /= sum;
}

float GroupScore(const RouterShape& shape, const float* choice, int64_t size) {
  float best = kExcluded, second = kExcluded;
  for (int64_t i = 0; i < size; ++i) {
    if (choice[i] > best) {
      second = best;
      best = choice[i];
    } else if (choice[i] > second) {
      second = choice[i];
    }
  }
  if (shape.scoring == RouterScoring::kSoftmax || size == 1) return best;
  return best + second;
}

/// Index of the largest of values [n], the lowest one among equals.
int64_t ArgMax(const float* values, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i) {
    if (values[i] > values[best]) best = i;
  }
  return best;
}

/// Sets the choices outside the best groups to -inf. `group_scores` [groups].
void ExcludeGroups(const RouterShape& shape, float* choice,
                   float* group_scores) {
  const int64_t size = shape.experts / shape.groups;
  for (int64_t g = 0; g < shape.groups; ++g) {
    group_scores[g] = GroupScore(shape, choice + g * size, size);
  }
  // Marks the winners by +inf: no sum of scores can reach it.
  constexpr float kWinner = std::numeric_limits<float>::infinity();
  for (int64_t k = 0; k < shape.groups_used; ++k) {
    int64_t best = -1;
    for (int64_t g = 0; g < shape.groups; ++g) {
      if (group_scores[g] == kWinner) continue;
      if (best < 0 || group_scores[g] > group_scores[best]) best = g;
    }
    group_scores[best] = kWinner;
  }
  for (int64_t g = 0; g < shape.groups; ++g) {
    if (group_scores[g] == kWinner) continue;
    std::fill_n(choice + g * size, size, kExcluded);
  }
}

}  // namespace

void RouteToken(const RouterShape& shape, absl::Span<const float> logits,
                absl::Span<const float> bias, float* scratch, int32_t* ids,
                float* weights) {
  float* scores = scratch;
  float* choice = scratch + shape.experts;
  ComputeScores(shape, logits, scores);
  for (int64_t e = 0; e < shape.experts; ++e) {
    choice[e] = Choice(scores[e], bias.empty() ? 0.0f : bias[e]);
  }
  if (shape.groups > 1) {
    ExcludeGroups(shape, choice, scratch + 2 * shape.experts);
  }
  float sum = 0;
  for (int64_t k = 0; k < shape.experts_per_token; ++k) {
    const int64_t best = ArgMax(choice, shape.experts);
    ids[k] = static_cast<int32_t>(best);
    weights[k] = scores[best];
    sum += scores[best];
    choice[best] = kTaken;
  }
  // A sum of zero needs scores that underflowed: then every weight is zero.
  const float factor =
      shape.normalize ? (sum > 0 ? shape.scale / sum : 0.0f) : shape.scale;
  for (int64_t k = 0; k < shape.experts_per_token; ++k) weights[k] *= factor;
}

}  // namespace mlad
