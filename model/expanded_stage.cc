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
  /// rows: of the chunk, the same for all heads of the group. window: null on
  /// a single node.
  HeadGroup(StepState& state, int64_t layer, const WorkerContext& worker,
            const RowGroup& rows, LatentWindow* window)
      : state_(state),
        layer_(layer),
        worker_(worker),
        rows_(rows),
        window_(window) {}

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
    chunk.window = window_;
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
    float* rows = own.scratch;  // not in use until the heads run
    UnpackRows(v_b, 0, v_b.rows, rows);
    for (int64_t v = 0; v < v_b.rows; ++v) {
      for (int64_t c = 0; c < v_b.cols; ++c) {
        w_uv[c * v_b.rows + v] = rows[v * v_b.cols + c];
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
  LatentWindow* const window_;
  ExpandedHead heads_[kMaxExpandedHeads];
  int64_t count_ = 0;
};

/// Walks of the worker with the most; the others must follow them.
int64_t MostWalks(const StepState& state, const WorkerContext& worker) {
  const int parts = PartsOfHead(state, worker);
  const int64_t units =
      SplitEvenly(state.heads[worker.node].size() * parts, worker.workers, 0)
          .size();
  const int64_t at_once = parts == 1 ? state.plan.limits().expanded_heads : 1;
  return (units + at_once - 1) / at_once;
}

/// The worker's heads, or its rows of them. Returns how often it has walked
/// over the latents.
int64_t RunHeads(StepState& state, int64_t layer, const WorkerContext& worker,
                 const RowGroup& group, LatentWindow* window) {
  int64_t walks = 0;
  HeadGroup whole(state, layer, worker, group, window);
  const auto run_whole = [&] {
    if (whole.size() == 0) return;
    whole.Run();
    ++walks;
  };
  ForEachHeadPart(state, worker, [&](const HeadPart& unit) {
    if (unit.parts == 1) {
      whole.Add(unit.head);
      if (whole.size() == state.plan.limits().expanded_heads) run_whole();
      return;
    }
    const WorkRange rows = SplitEvenly(group.rows, unit.parts, unit.part);
    if (rows.size() == 0) return;
    RowGroup part = group;
    part.first_position += rows.begin;
    part.first_row += rows.begin;
    part.rows = rows.size();
    HeadGroup one(state, layer, worker, part, window);
    one.Add(unit.head);
    one.Run();
    ++walks;
  });
  run_whole();
  return walks;
}

}  // namespace

void RunExpandedHeads(StepState& state, int64_t layer,
                      const WorkerContext& worker, const RowGroup& group) {
  if (worker.nodes == 1) {
    RunHeads(state, layer, worker, group, nullptr);
    return;
  }
  LatentWindow window(*state.cache, layer, group, state.node(worker).latents,
                      worker, state.own(worker).traffic);
  const int64_t walks = RunHeads(state, layer, worker, group, &window);
  for (int64_t w = walks; w < MostWalks(state, worker); ++w) window.Finish();
  worker.SyncNode();  // the next group begins with the half that may be read
}

}  // namespace mlad
