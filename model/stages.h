// The stages of a step, in the order in which they run. Each is called by every
// worker of every node; between two of them all workers wait for each other, or
// those of a node (Transformer says which).
#pragma once

#include <cstdint>

#include "model/step_state.h"
#include "numa/executor.h"

namespace mlad {

// Once a step, before the layers.

/// x = embedding rows of the tokens.
void RunEmbed(StepState& state, const WorkerContext& worker);
/// In the place of RunEmbed when the step goes on with a span: x = parked.
void RunUnpark(StepState& state, const WorkerContext& worker);
/// Rotations of the tokens' positions.
void RunRotations(StepState& state, const WorkerContext& worker);

// Per layer: attention.

/// Node copies of norm(x), as floats and quantised.
void RunAttentionNorm(StepState& state, int64_t layer,
                      const WorkerContext& worker);
/// kv_a; and q_a, or q itself in models that do not compress queries.
void RunDownProjections(StepState& state, int64_t layer,
                        const WorkerContext& worker);
/// The home node of each position stores its latent row; node copies of
/// norm(q_a).
void RunStoreLatents(StepState& state, int64_t layer,
                     const WorkerContext& worker);
/// Queries of the node's heads; only in models that compress queries.
void RunQueries(StepState& state, int64_t layer, const WorkerContext& worker);
/// Expanded and absorbed attention; waits for everyone inside.
void RunAttention(StepState& state, int64_t layer, const WorkerContext& worker);
/// Node copies of the quantised attention output.
void RunQuantizeAttention(StepState& state, int64_t layer,
                          const WorkerContext& worker);
/// x += W_o attention
void RunAttentionOutput(StepState& state, int64_t layer,
                        const WorkerContext& worker);

// Per layer: feed-forward.

/// Node copies of norm(x), as floats and quantised.
void RunFeedForwardNorm(StepState& state, int64_t layer,
                        const WorkerContext& worker);
// Expert layers only.
void RunRouterLogits(StepState& state, int64_t layer,
                     const WorkerContext& worker);
/// Each node chooses the experts of all tokens for itself.
void RunRouting(StepState& state, int64_t layer, const WorkerContext& worker);
// All layers.
void RunFeedForwardGateUp(StepState& state, int64_t layer,
                          const WorkerContext& worker);
void RunFeedForwardQuantize(StepState& state, int64_t layer,
                            const WorkerContext& worker);
/// x += feed-forward
void RunFeedForwardDown(StepState& state, int64_t layer,
                        const WorkerContext& worker);

// Once a step, after the layers.

/// Logits of the rows that want them, some rows at a time; worker 0 of node 0
/// hands them to the consumer while the others wait.
void RunLogits(StepState& state, const WorkerContext& worker);
/// In the place of RunLogits when layers are left: parked = x.
void RunPark(StepState& state, const WorkerContext& worker);

// Shared by the stages.

/// Expanded attention of the worker's heads for the rows of one chunk; the
/// latents are walked once for limits().expanded_heads heads. Waits for the
/// node's workers where there are more nodes.
void RunExpandedHeads(StepState& state, int64_t layer,
                      const WorkerContext& worker, const RowGroup& group);

/// out[t] = norm(rows[t]) for t in [0, count), rows of the step, the node's
/// workers sharing them; `rows` [count, out.cols] live on node 0.
void NormRows(StepState& state, const WorkerContext& worker, const float* rows,
              int64_t count, const float* weight, const Activations& out);

/// out = W x (or out += W x) for `tokens` tokens, the node's rows of W; the
/// first of them goes to out[t * out_stride].
struct ShardProduct {
  const MatrixShard* shard = nullptr;
  Activations x;
  int64_t tokens = 0;
  Epilogue epilogue = Epilogue::kStore;
  float* out = nullptr;
  int64_t out_stride = 0;  // floats
};
/// The node's workers share the products; once between two barriers.
void MultiplyShards(StepState& state, const WorkerContext& worker,
                    absl::Span<const ShardProduct> products);

}  // namespace mlad
