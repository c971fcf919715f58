#include <algorithm>

#include "attention/merge.h"
#include "model/stages.h"

namespace mlad {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

const AttentionWeights& Weights(const StepState& state, int64_t layer) {
  return state.weights.layers[layer].attention;
}

/// The node's part of q, from `x`: [tokens, its heads, qk_head_dim].
ShardProduct QueriesOf(StepState& state, const WorkerContext& worker,
                       const ShardedMatrix& w, const Activations& x) {
  const WorkRange heads = state.heads[worker.node];
  ShardProduct product;
  product.shard = &w.shards[worker.node];
  product.x = x;
  product.tokens = state.plan.tokens();
  product.out = state.node(worker).q;
  product.out_stride = (heads.end - heads.begin) * state.shape.qk_head_dim();
  return product;
}

/// out[:, node's rows of w] for all tokens; rows of `out` are w.rows long.
ShardProduct SharedRows(StepState& state, const WorkerContext& worker,
                        const ShardedMatrix& w, const Activations& x,
                        Epilogue epilogue, float* out) {
  ShardProduct product;
  product.shard = &w.shards[worker.node];
  product.x = x;
  product.tokens = state.plan.tokens();
  product.epilogue = epilogue;
  product.out = out + product.shard->row_begin;
  product.out_stride = w.rows;
  return product;
}

/// Norms and rotates the latent of one row in `row` [latent_row_elements].
void FinishLatent(StepState& state, int64_t layer, const WorkerContext& worker,
                  int64_t step_row, float* row) {
  const int64_t lora = state.shape.kv_lora_rank;
  const int64_t rope = state.shape.qk_rope_head_dim;
  const float* kv_a = state.shared.kv_a + step_row * (lora + rope);
  state.kernels->rms_norm(
      kv_a, StepState::Copy(Weights(state, layer).kv_a_norm, worker), lora,
      static_cast<float>(state.shape.rms_norm_eps), row);
  std::copy_n(kv_a + lora, rope, row + lora);
  ApplyRope(state.shared.rotations + step_row * rope, rope, row + lora);
}

}  // namespace

void RunAttentionNorm(StepState& state, int64_t layer,
                      const WorkerContext& worker) {
  NormRows(state, worker, state.shared.x, state.plan.tokens(),
           StepState::Copy(Weights(state, layer).norm, worker),
           state.node(worker).hidden);
}

void RunDownProjections(StepState& state, int64_t layer,
                        const WorkerContext& worker) {
  const AttentionWeights& weights = Weights(state, layer);
  const Activations& hidden = state.node(worker).hidden;
  const ShardProduct queries =
      state.shape.q_lora_rank > 0
          ? SharedRows(state, worker, weights.q_a, hidden, Epilogue::kStore,
                       state.shared.q_a)
          : QueriesOf(state, worker, weights.q, hidden);
  MultiplyShards(state, worker,
                 {queries, SharedRows(state, worker, weights.kv_a, hidden,
                                      Epilogue::kStore, state.shared.kv_a)});
}

void RunStoreLatents(StepState& state, int64_t layer,
                     const WorkerContext& worker) {
  const LatentCache& cache = *state.cache;
  const int64_t elements = state.shape.latent_row_elements();
  float* row = state.own(worker).scratch;
  const auto rows = state.plan.rows();
  int64_t bytes = 0;
  for (int64_t r = 0; r < state.plan.tokens(); ++r) {
    const int64_t position = rows[r].position;
    const PageRef page = rows[r].pages->pages[position / kPagePositions];
    if (page.node != worker.node) continue;
    if (position % worker.workers != worker.worker) continue;
    FinishLatent(state, layer, worker, r, row);
    state.kernels->encode_latent(
        cache.shape().type, row, elements,
        cache.Rows(page, layer) +
            position % kPagePositions * cache.row_bytes());
    bytes += elements * kFloatBytes;
  }
  state.own(worker).traffic->Add(worker.node == 0, bytes);

  if (state.shape.q_lora_rank > 0) {
    NormRows(state, worker, state.shared.q_a, state.plan.tokens(),
             StepState::Copy(Weights(state, layer).q_a_norm, worker),
             state.node(worker).q_a);
  }
}

void RunQueries(StepState& state, int64_t layer, const WorkerContext& worker) {
  MultiplyShards(state, worker,
                 {QueriesOf(state, worker, Weights(state, layer).q,
                            state.node(worker).q_a)});
}

void RunQuantizeAttention(StepState& state, int64_t /*layer*/,
                          const WorkerContext& worker) {
  const Activations& out = state.node(worker).attention;
  const WorkRange range =
      SplitEvenly(state.plan.tokens(), worker.workers, worker.worker);
  for (int64_t r = range.begin; r < range.end; ++r) {
    out.Quantize(*state.kernels, r, state.shared.attention + r * out.cols,
                 state.plan.rows()[r].bits);
  }
  state.own(worker).traffic->Add(
      worker.node == 0, (range.end - range.begin) * out.cols * kFloatBytes);
}

void RunAttentionOutput(StepState& state, int64_t layer,
                        const WorkerContext& worker) {
  // Float weights read the gathered floats themselves.
  Activations attention = state.node(worker).attention;
  attention.f32 = state.shared.attention;
  MultiplyShards(state, worker,
                 {SharedRows(state, worker, Weights(state, layer).output,
                             attention, Epilogue::kAdd, state.shared.x)});
}

}  // namespace mlad
