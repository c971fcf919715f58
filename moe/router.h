// The router: which experts a token goes to, and with what weight.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace mlad {

enum class RouterScoring : uint8_t { kSoftmax, kSigmoid };

struct RouterShape {
  int64_t experts = 0;
  int64_t experts_per_token = 0;
  int64_t groups = 1;       // experts % groups == 0
  int64_t groups_used = 1;  // experts are chosen within the best groups
  RouterScoring scoring = RouterScoring::kSoftmax;
  bool normalize = false;  // weights of the chosen sum to 1 before scaling
  float scale = 1;         // routed_scaling_factor
};

/// Routes one token.
///
/// In      logits [experts] f32; bias [experts] f32 (e_score_correction_bias)
///         or empty: it moves the choice, never the weights
/// Out     ids [experts_per_token], best first; weights [experts_per_token]
/// Scratch [RouterScratchFloats(shape)] f32
/// Math    score = sigmoid(logit) or softmax(logits); choice by score + bias.
///         With groups, only experts of the groups_used best groups are
///         eligible; a group counts the sum of its two best choices (sigmoid,
///         V3's noaux_tc) or its best one (softmax, V2's group-limited greedy).
///         weight = score, / sum if normalize, * scale
/// Edge    equal choices go to the lower index; NaN ranks below every number
/// Source  arXiv:2412.19437 section 2.1.2; arXiv:2405.04434 section 2.2.2
inline int64_t RouterScratchFloats(const RouterShape& shape) {
  return 2 * shape.experts + shape.groups;
}
void RouteToken(const RouterShape& shape, absl::Span<const float> logits,
                absl::Span<const float> bias, float* scratch, int32_t* ids,
                float* weights);

}  // namespace mlad
