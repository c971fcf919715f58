#include <algorithm>

#include "model/stages.h"

namespace mlad {
namespace {

/// The step's rows [tokens, hidden]; all workers share them.
void CopyRows(StepState& state, const WorkerContext& worker, const float* from,
              float* to) {
  const int64_t hidden = state.shape.hidden_size;
  const WorkRange range = SplitEvenly(
      state.plan.tokens(), worker.global_workers, worker.global_worker);
  std::copy_n(from + range.begin * hidden, range.size() * hidden,
              to + range.begin * hidden);
  state.own(worker).traffic->Add(
      worker.node == 0,
      range.size() * hidden * static_cast<int64_t>(sizeof(float)));
}

}  // namespace

void RunEmbed(StepState& state, const WorkerContext& worker) {
  const int64_t hidden = state.shape.hidden_size;
  const EmbeddingShard& shard = state.weights.embedding[worker.node];
  const TensorType type = state.weights.embedding_type;
  const int64_t row_bytes = TensorRowBytes(type, hidden);
  const auto rows = state.plan.rows();
  int64_t bytes = 0;
  for (int64_t r = worker.worker; r < state.plan.tokens();
       r += worker.workers) {
    const int64_t token = rows[r].token;
    if (token < shard.rows.begin || token >= shard.rows.end) continue;
    DequantizeRow(type, shard.data + (token - shard.rows.begin) * row_bytes,
                  hidden, state.shared.x + r * hidden);
    bytes += row_bytes;
  }
  state.own(worker).traffic->Add(true, bytes);
}

void RunUnpark(StepState& state, const WorkerContext& worker) {
  CopyRows(state, worker, state.shared.parked, state.shared.x);
}

void RunPark(StepState& state, const WorkerContext& worker) {
  CopyRows(state, worker, state.shared.x, state.shared.parked);
}

void RunRotations(StepState& state, const WorkerContext& worker) {
  const int64_t rope_dim = state.shape.qk_rope_head_dim;
  const auto rows = state.plan.rows();
  const WorkRange range = SplitEvenly(
      state.plan.tokens(), worker.global_workers, worker.global_worker);
  for (int64_t r = range.begin; r < range.end; ++r) {
    state.rope.Rotate(rows[r].position, state.shared.rotations + r * rope_dim);
  }
}

void RunLogits(StepState& state, const WorkerContext& worker) {
  const int64_t hidden = state.shape.hidden_size;
  const int64_t vocab = state.shape.vocab_size;
  const auto wanted = state.plan.logits();
  const int64_t total = static_cast<int64_t>(wanted.size());
  const int64_t tile = state.plan.limits().logits_rows;
  const MatrixShard& output = state.weights.output.shards[worker.node];
  const float* norm = StepState::Copy(state.weights.output_norm, worker);
  const float epsilon = static_cast<float>(state.shape.rms_norm_eps);
  const Activations& normed = state.node(worker).hidden;

  for (int64_t first = 0; first < total; first += tile) {
    const int64_t count = std::min(tile, total - first);
    for (int64_t i = worker.worker; i < count; i += worker.workers) {
      state.kernels->rms_norm(
          state.shared.x + wanted[first + i].step_row * hidden, norm, hidden,
          epsilon, normed.Row(i));
      normed.Quantize(*state.kernels, i, normed.Row(i));
    }
    worker.SyncNode();
    ShardProduct product;
    product.shard = &output;
    product.x = normed;
    product.tokens = count;
    product.out = state.shared.logits + output.row_begin;
    product.out_stride = vocab;
    MultiplyShards(state, worker, {product});
    worker.SyncAll();
    if (worker.global_worker == 0) {
      for (int64_t i = 0; i < count; ++i) {
        const LogitsRow& row = wanted[first + i];
        (*state.consume)(
            row.span, row.row_in_span,
            absl::MakeConstSpan(state.shared.logits + i * vocab, vocab));
      }
    }
    if (first + tile < total) worker.SyncAll();
  }
}

}  // namespace mlad
