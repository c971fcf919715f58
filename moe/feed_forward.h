// The feed-forward part of a layer: routed experts, shared experts and dense
// SwiGLU blocks, each worker computing the output rows that it owns.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/activations.h"
#include "kernels/kernels.h"
#include "moe/dispatch.h"
#include "numa/executor.h"
#include "numa/sharded_matrix.h"
#include "numa/traffic.h"

namespace mlad {

/// down(silu(gate x) * (up x)); gate, up [ffn, hidden], down [hidden, ffn].
struct SwiGlu {
  ShardedMatrix gate, up, down;
};

struct FeedForwardWeights {
  std::vector<SwiGlu> experts;  // empty in dense layers
  SwiGlu always;  // shared experts, or the dense block; may be empty()
};

/// One layer's work in one step, as one worker sees it.
struct FeedForwardStep {
  const KernelTable* kernels = nullptr;
  const FeedForwardWeights* weights = nullptr;
  const ExpertDispatch* dispatch = nullptr;  // null in dense layers
  int64_t tokens = 0;
  int64_t slots = 0;  // tokens * experts_per_token, 0 in dense layers

  Activations input;  // [tokens, hidden], on this node

  // silu(gate) * up, gathered from all nodes.
  float* expert_act = nullptr;  // [slots, moe_intermediate_size]
  float* always_act = nullptr;  // [tokens, ffn of `always`]
  // The same quantised, a copy on every node (f32 is null).
  Activations expert_quantized;
  Activations always_quantized;

  float* output = nullptr;   // [tokens, hidden]: the result is added
  float* scratch = nullptr;  // [kGateUpScratchFloats], the worker's own
  Traffic* traffic = nullptr;
};

/// Token and row tile of gate and up: what `up` computes stays in L1.
inline constexpr int64_t kGateUpTokens = 64;
inline constexpr int64_t kGateUpPanels = 4;
inline constexpr int64_t kGateUpScratchFloats =
    kGateUpTokens * kGateUpPanels * kPanelRows;

/// Stage 1: this worker's rows of gate and up, for all their tokens.
/// The rows of all experts with tokens are split over the node's workers by
/// cost, so a worker's share does not depend on which experts are busy.
void RunGateUp(const FeedForwardStep& step, const WorkerContext& worker);

/// Stage 2: quantises the activations into this node's copies, where `down` is
/// of a format that wants it.
void RunQuantizeActivations(const FeedForwardStep& step,
                            const WorkerContext& worker);

/// Stage 3: output += down, experts ascending and then `always`: the order of
/// the sum over a token's experts is fixed.
void RunDown(const FeedForwardStep& step, const WorkerContext& worker);

}  // namespace mlad
