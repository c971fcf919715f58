// The SwiGLUs of a layer that have work in a step. Internal to moe/.
#pragma once

#include <cstdint>

#include "moe/feed_forward.h"

namespace mlad {

/// One SwiGLU with the tokens that go through it.
struct Branch {
  const SwiGlu* weights;
  int64_t expert;  // -1: `always`
  int64_t tokens;
  const int32_t* input_rows;  // rows of the layer's input; null: all
  const int32_t* act_rows;    // rows of its activations; null: all
  const float* scale;         // router weights; null: 1
  float* act;
  Activations act_quantized;
};

inline Branch ExpertBranch(const FeedForwardStep& step, int64_t expert) {
  const ExpertDispatch& dispatch = *step.dispatch;
  return {&step.weights->experts[expert],
          expert,
          dispatch.Count(expert),
          dispatch.Tokens(expert),
          dispatch.Slots(expert),
          dispatch.Weights(expert),
          step.expert_act,
          step.expert_quantized};
}

inline Branch AlwaysBranch(const FeedForwardStep& step) {
  return {&step.weights->always,
          -1,
          step.tokens,
          nullptr,
          nullptr,
          nullptr,
          step.always_act,
          step.always_quantized};
}

/// Calls visit(branch) for the experts with tokens, ascending.
template <typename Visit>
void ForEachExpert(const FeedForwardStep& step, Visit visit) {
  if (step.dispatch == nullptr) return;
  for (int64_t e = 0; e < step.dispatch->experts(); ++e) {
    if (step.dispatch->Count(e) > 0) visit(ExpertBranch(step, e));
  }
}

/// The same for those that `node` has a part in: all where experts are sliced,
/// those assigned to it where they are whole.
template <typename Visit>
void ForEachExpertOf(const FeedForwardStep& step, int node, Visit visit) {
  ForEachExpert(step, [&](const Branch& branch) {
    if (!step.experts_are_whole() ||
        step.dispatch->NodeOf(branch.expert) == node) {
      visit(branch);
    }
  });
}

/// Panels [begin, end) of a matrix as a matrix of their own.
PackedMatrix SlicePanels(const PackedMatrix& matrix, WorkRange panels);

/// Runs the kernel and counts the weights read.
void MultiplyPanels(const FeedForwardStep& step, const MatMulArgs& args);

/// True when `down` multiplies floats: then nothing is quantised.
bool DownReadsFloats(const SwiGlu& weights);

}  // namespace mlad
