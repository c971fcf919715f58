// Expanded attention of the heads that a worker owns.
#include <algorithm>

#include "attention/expanded.h"
#include "model/head_parts.h"
#include "model/stages.h"

namespace mlad {
namespace {

/// Heads of one worker that share a walk over the latents.
class HeadGroup {
 public:
  /// rows: of the chunk, the same for all heads of the group.
  HeadGroup(StepState& state, int64_t layer, const WorkerContext& worker,
            const RowGroup& rows)
      : state_(state), layer_(layer), worker_(worker), rows_(rows) {}

  int64_t size() const { return count_; }

  void Add(int64_t head) {
    const Hyperparameters& shape = state_.shape;
    const int64_t rope = shape.qk_rope_head_dim;
    for (int64_t r = rows_.first_row; r < rows_.first_row + rows_.rows; ++r) {
      ApplyRope(state_.shared.rotations + r * rope, rope,
                Query(state_, worker_, r, head) + shape.qk_nope_head_dim);
    }
    ExpandedHead& expanded = heads_[count_];
    Unpack(head, expanded);
    ++count_;
    expanded.q = Query(state_, worker_, rows_.first_row, head);
    expanded.q_stride = state_.heads[worker_.node].size() * shape.qk_head_dim();
    expanded.out_stride = shape.num_attention_heads * shape.v_head_dim;
    expanded.out = state_.shared.attention +
                   rows_.first_row * expanded.out_stride +
                   head * shape.v_head_dim;
  }

  void Run() {
    if (count_ == 0) return;
    WorkerBuffers& own = state_.own(worker_);
    ExpandedChunk chunk;
    chunk.kernels = state_.kernels;
    chunk.cache = state_.cache;
    chunk.layer = layer_;
    chunk.shape = state_.expanded_shape;
    chunk.rows = rows_;
    chunk.heads = absl::MakeConstSpan(heads_, count_);
    chunk.scratch = own.scratch;
    chunk.node = worker_.node;
    chunk.traffic = own.traffic;
    RunExpanded(chunk);
    count_ = 0;
  }

 private:
  /// Floats of W_uk^T and W_uv^T of one head, in the worker's buffers.
  void Unpack(int64_t head, ExpandedHead& expanded) {
    const AttentionWeights& weights = state_.weights.layers[layer_].attention;
    const PackedMatrix& k_b = weights.k_b[head];
    const PackedMatrix& v_b = weights.v_b[head];
    WorkerBuffers& own = state_.own(worker_);
    float* w_uk = own.w_uk + count_ * k_b.rows * k_b.cols;
    float* w_uv = own.w_uv + count_ * v_b.rows * v_b.cols;
    UnpackRows(k_b, 0, k_b.rows, w_uk);
    UnpackRows(v_b, 0, v_b.rows, own.w_uv_rows);
    for (int64_t v = 0; v < v_b.rows; ++v) {
      for (int64_t c = 0; c < v_b.cols; ++c) {
        w_uv[c * v_b.rows + v] = own.w_uv_rows[v * v_b.cols + c];
      }
    }
    expanded.w_uk = w_uk;
    expanded.w_uv = w_uv;
    CountPanels(state_, worker_, k_b, k_b.panels());
    CountPanels(state_, worker_, v_b, v_b.panels());
  }

  StepState& state_;
  const int64_t layer_;
  const WorkerContext& worker_;
  const RowGroup rows_;
  ExpandedHead heads_[kMaxExpandedHeads];
  int64_t count_ = 0;
};

}  // namespace

void RunExpandedHeads(StepState& state, int64_t layer,
                      const WorkerContext& worker, const RowGroup& group) {
  HeadGroup whole(state, layer, worker, group);
  ForEachHeadPart(state, worker, [&](const HeadPart& unit) {
    if (unit.parts == 1) {
      whole.Add(unit.head);
      if (whole.size() == state.plan.limits().expanded_heads) whole.Run();
      return;
    }
    const WorkRange rows = SplitEvenly(group.rows, unit.parts, unit.part);
    if (rows.size() == 0) return;
    RowGroup part = group;
    part.first_position += rows.begin;
    part.first_row += rows.begin;
    part.rows = rows.size();
    HeadGroup one(state, layer, worker, part);
    one.Add(unit.head);
    one.Run();
  });
  whole.Run();
}

}  // namespace mlad
