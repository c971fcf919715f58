// The feed-forward part of a layer: routed experts, shared experts and dense
// SwiGLU blocks, each worker computing the output rows that it owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "kernels/activations.h"
#include "kernels/kernels.h"
#include "moe/dispatch.h"
#include "moe/expert_copies.h"
#include "numa/executor.h"
#include "numa/sharded_matrix.h"
#include "numa/traffic.h"

namespace mlad {

/// down(silu(gate x) * (up x)); gate, up [ffn, hidden], down [hidden, ffn].
struct SwiGlu {
  ShardedMatrix gate, up, down;
};

/// Memory on one node for the packed matrices of an expert.
struct ExpertRoom {
  std::byte* gate = nullptr;
  std::byte* up = nullptr;
  std::byte* down = nullptr;
};

struct FeedForwardWeights {
  std::vector<SwiGlu> experts;  // empty in dense layers
  /// Experts placed whole: shards[n] of expert e holds all rows where copies
  /// has (e, n), else none.
  ExpertCopies copies;
  /// [nodes] of [replicas per node]; empty: no replicas. See ExpertReplicas.
  std::vector<std::vector<ExpertRoom>> replicas;
  SwiGlu always;  // shared experts, or the dense block; may be empty()
};

/// One layer's work in one step, as one worker sees it.
struct FeedForwardStep {
  const KernelTable* kernels = nullptr;
  const FeedForwardWeights* weights = nullptr;
  const ExpertDispatch* dispatch = nullptr;  // null in dense layers
  int64_t tokens = 0;
  int64_t slots = 0;  // tokens * experts_per_token, 0 in dense layers

  Activations input;  // [tokens, hidden], on this node, quantised too

  // silu(gate) * up; where weights are split by rows, gathered from all nodes.
  float* expert_act = nullptr;  // [slots, moe_intermediate_size]
  float* always_act = nullptr;  // [tokens, ffn of `always`]
  // The same quantised, a copy on every node (f32 is null).
  Activations expert_quantized;
  Activations always_quantized;

  /// Experts placed whole only: what down makes of the slots, on the node that
  /// computed them, [nodes] of [WholeExpertOutFloats(...)].
  absl::Span<float* const> expert_out;

  float* output = nullptr;   // [tokens, hidden]: the result is added
  float* scratch = nullptr;  // [kGateUpScratchFloats], the worker's own
  Traffic* traffic = nullptr;

  /// Then the dispatch has assigned nodes to the experts, and expert_act is
  /// this node's own.
  bool experts_are_whole() const { return !weights->copies.empty(); }
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
/// the sum over a token's experts is fixed. Waits for everyone inside where
/// experts are whole.
void RunDown(const FeedForwardStep& step, const WorkerContext& worker);

}  // namespace mlad
