// The part of attention that heads own: their queries, the expanded form, and
// what happens before and after the absorbed form.
#include <algorithm>

#include "attention/absorbed.h"
#include "attention/expanded.h"
#include "attention/merge.h"
#include "model/stages.h"

namespace mlad {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

/// One worker's share of a head: part `part` of `parts`.
struct HeadPart {
  int64_t head = 0;  // of the model
  int parts = 1;
  int part = 0;
};

/// Splits the node's heads over its workers; heads are cut where there are more
/// workers than heads.
template <typename Visit>
void ForEachHeadPart(const StepState& state, const WorkerContext& worker,
                     Visit visit) {
  const WorkRange heads = state.heads[worker.node];
  const int64_t count = heads.end - heads.begin;
  if (count == 0) return;
  const int parts =
      static_cast<int>(std::max<int64_t>(1, worker.workers / count));
  const WorkRange range =
      SplitEvenly(count * parts, worker.workers, worker.worker);
  for (int64_t i = range.begin; i < range.end; ++i) {
    visit(
        HeadPart{heads.begin + i / parts, parts, static_cast<int>(i % parts)});
  }
}

/// Query of one row and head, on the head's node.
float* Query(StepState& state, const WorkerContext& worker, int64_t step_row,
             int64_t head) {
  const WorkRange heads = state.heads[worker.node];
  return state.node(worker).q +
         (step_row * (heads.end - heads.begin) + head - heads.begin) *
             state.shape.qk_head_dim();
}

/// Calls visit(group, row of the group, row of the pass).
template <typename Visit>
void ForEachPassRow(absl::Span<const RowGroup> pass, Visit visit) {
  for (const RowGroup& group : pass) {
    for (int64_t i = 0; i < group.rows; ++i) {
      visit(group, i, group.first_pass_row + i);
    }
  }
}

int64_t PassRows(absl::Span<const RowGroup> pass) {
  return pass.empty() ? 0 : pass.back().first_pass_row + pass.back().rows;
}

/// The worker's float rows as a matmul reads them for a matrix of this format.
void SetHeadInput(StepState& state, const WorkerContext& worker, int64_t rows,
                  const PackedMatrix& w, MatMulArgs& args) {
  const WorkerBuffers& own = state.own(worker);
  args.w = w;
  args.tokens = rows;
  args.x_f32 = own.head_f32;
  if (ReadsFloatActivations(w.format)) return;
  const Activations quantized = own.head_rows.WithCols(w.cols);
  for (int64_t i = 0; i < rows; ++i) {
    quantized.Quantize(*state.kernels, i, own.head_f32 + i * w.cols);
  }
  args.x_q = quantized.q;
}

void CountPanels(StepState& state, const WorkerContext& worker,
                 const PackedMatrix& w, int64_t panels) {
  state.own(worker).traffic->Add(true, panels * PanelBytes(w.format, w.cols));
}

/// absorbed_q[pass row, head] = [W_uk^T q_nope | rope(q_pe)]
void AbsorbQueries(StepState& state, int64_t layer, const WorkerContext& worker,
                   absl::Span<const RowGroup> pass, const HeadPart& unit) {
  const Hyperparameters& shape = state.shape;
  const int64_t nope = shape.qk_nope_head_dim, lora = shape.kv_lora_rank;
  const int64_t elements = shape.latent_row_elements();
  const int64_t rope = shape.qk_rope_head_dim;
  float* out = state.shared.absorbed_q + unit.head * elements;
  const int64_t out_stride = shape.num_attention_heads * elements;
  float* input = state.own(worker).head_f32;
  ForEachPassRow(pass, [&](const RowGroup& group, int64_t i, int64_t pass_row) {
    const int64_t step_row = group.first_row + i;
    const float* q = Query(state, worker, step_row, unit.head);
    std::copy_n(q, nope, input + pass_row * nope);
    if (unit.part != 0) return;
    float* q_pe = out + pass_row * out_stride + lora;
    std::copy_n(q + nope, rope, q_pe);
    ApplyRope(state.shared.rotations + step_row * rope, rope, q_pe);
  });
  MatMulArgs args;
  SetHeadInput(state, worker, PassRows(pass),
               state.weights.layers[layer].attention.k_b[unit.head], args);
  const WorkRange panels = SplitEvenly(args.w.panels(), unit.parts, unit.part);
  args.panel_begin = panels.begin;
  args.panel_end = panels.end;
  args.out = out;
  args.out_stride = out_stride;
  state.kernels->matmul(args);
  CountPanels(state, worker, args.w, panels.end - panels.begin);
}

/// Of row i of a group, which is row `pass_row` of the pass.
MergeArgs MakeMerge(const StepState& state, const RowGroup& group, int64_t i,
                    int64_t pass_row, WorkRange heads) {
  MergeArgs args;
  args.partials = state.partial_view();
  args.row = pass_row;
  args.first_node = group.pages->first_node;
  args.position = group.first_position + i;
  args.head_begin = heads.begin;
  args.head_end = heads.end;
  return args;
}

/// Each node reduces its own lanes, so that one partial per node travels.
void MergeNodeLanes(const StepState& state, const WorkerContext& worker,
                    absl::Span<const RowGroup> pass) {
  const WorkRange heads = SplitEvenly(state.shape.num_attention_heads,
                                      worker.workers, worker.worker);
  ForEachPassRow(pass, [&](const RowGroup& group, int64_t i, int64_t pass_row) {
    MergeLocalLanes(MakeMerge(state, group, i, pass_row, heads), worker.node,
                    worker.nodes);
  });
}

/// attention[row, head] = W_uv (merged partials of the head)
void FinishHead(StepState& state, int64_t layer, const WorkerContext& worker,
                absl::Span<const RowGroup> pass, int64_t head) {
  const Hyperparameters& shape = state.shape;
  const int64_t lora = shape.kv_lora_rank;
  const int64_t attention_cols = shape.num_attention_heads * shape.v_head_dim;
  WorkerBuffers& own = state.own(worker);
  int64_t partials_read = 0;
  ForEachPassRow(pass, [&](const RowGroup& group, int64_t i, int64_t pass_row) {
    const int64_t position = group.first_position + i;
    MergePartials(MakeMerge(state, group, i, pass_row, {head, head + 1}),
                  own.head_f32 + pass_row * lora, lora, nullptr);
    partials_read +=
        worker.nodes == 1
            ? ActiveLanes(position)
            : std::min<int64_t>(ActiveLanes(position), worker.nodes);
  });
  const int64_t partial_bytes = partials_read * (lora + 1) * kFloatBytes;
  own.traffic->Add(true, partial_bytes / worker.nodes);
  own.traffic->Add(false, partial_bytes - partial_bytes / worker.nodes);

  MatMulArgs args;
  SetHeadInput(state, worker, PassRows(pass),
               state.weights.layers[layer].attention.v_b[head], args);
  args.panel_end = args.w.panels();
  args.out_rows = own.pass_step_rows;
  args.out = state.shared.attention + head * shape.v_head_dim;
  args.out_stride = attention_cols;
  state.kernels->matmul(args);
  CountPanels(state, worker, args.w, args.w.panels());
}

void RunAbsorbedPass(StepState& state, int64_t layer,
                     const WorkerContext& worker,
                     absl::Span<const RowGroup> pass) {
  WorkerBuffers& own = state.own(worker);
  ForEachHeadPart(state, worker, [&](const HeadPart& unit) {
    AbsorbQueries(state, layer, worker, pass, unit);
  });
  worker.SyncAll();

  AbsorbedPass work;
  work.kernels = state.kernels;
  work.cache = state.cache;
  work.layer = layer;
  work.shape = state.absorbed_shape;
  work.groups = pass;
  work.q = state.shared.absorbed_q;
  work.partials = state.partial_view();
  work.scratch = own.scratch;
  work.traffic = own.traffic;
  RunAbsorbed(work, worker);
  worker.SyncAll();

  if (worker.nodes > 1) {
    MergeNodeLanes(state, worker, pass);
    worker.SyncAll();
  }
  ForEachPassRow(pass, [&](const RowGroup& group, int64_t i, int64_t pass_row) {
    own.pass_step_rows[pass_row] = static_cast<int32_t>(group.first_row + i);
  });
  ForEachHeadPart(state, worker, [&](const HeadPart& unit) {
    if (unit.part == 0) FinishHead(state, layer, worker, pass, unit.head);
  });
}

/// Floats of W_uk^T and W_uv^T of one head, in the worker's buffers.
void UnpackHead(StepState& state, int64_t layer, const WorkerContext& worker,
                int64_t head) {
  const AttentionWeights& weights = state.weights.layers[layer].attention;
  const PackedMatrix& k_b = weights.k_b[head];
  const PackedMatrix& v_b = weights.v_b[head];
  WorkerBuffers& own = state.own(worker);
  UnpackRows(k_b, 0, k_b.rows, own.w_uk);
  UnpackRows(v_b, 0, v_b.rows, own.w_uv_rows);
  for (int64_t v = 0; v < v_b.rows; ++v) {
    for (int64_t c = 0; c < v_b.cols; ++c) {
      own.w_uv[c * v_b.rows + v] = own.w_uv_rows[v * v_b.cols + c];
    }
  }
  CountPanels(state, worker, k_b, k_b.panels());
  CountPanels(state, worker, v_b, v_b.panels());
}

void RunExpandedPart(StepState& state, int64_t layer,
                     const WorkerContext& worker, const RowGroup& group,
                     const HeadPart& unit) {
  const Hyperparameters& shape = state.shape;
  const int64_t nope = shape.qk_nope_head_dim, rope = shape.qk_rope_head_dim;
  const WorkRange rows = SplitEvenly(group.rows, unit.parts, unit.part);
  if (rows.begin == rows.end) return;
  const int64_t first_row = group.first_row + rows.begin;
  const int64_t row_count = rows.end - rows.begin;
  for (int64_t r = first_row; r < first_row + row_count; ++r) {
    ApplyRope(state.shared.rotations + r * rope, rope,
              Query(state, worker, r, unit.head) + nope);
  }
  WorkerBuffers& own = state.own(worker);
  UnpackHead(state, layer, worker, unit.head);

  const WorkRange heads = state.heads[worker.node];
  ExpandedHead head;
  head.w_uk = own.w_uk;
  head.w_uv = own.w_uv;
  head.q = Query(state, worker, first_row, unit.head);
  head.q_stride = (heads.end - heads.begin) * shape.qk_head_dim();
  head.out_stride = shape.num_attention_heads * shape.v_head_dim;
  head.out = state.shared.attention + first_row * head.out_stride +
             unit.head * shape.v_head_dim;

  ExpandedChunk chunk;
  chunk.kernels = state.kernels;
  chunk.cache = state.cache;
  chunk.layer = layer;
  chunk.shape = state.expanded_shape;
  chunk.rows = group;
  chunk.rows.first_position += rows.begin;
  chunk.rows.first_row = first_row;
  chunk.rows.rows = row_count;
  chunk.heads = absl::MakeConstSpan(&head, 1);
  chunk.scratch = own.scratch;
  chunk.node = worker.node;
  chunk.traffic = own.traffic;
  RunExpanded(chunk);
}

}  // namespace

void RunAttention(StepState& state, int64_t layer,
                  const WorkerContext& worker) {
  for (const RowGroup& group : state.plan.expanded()) {
    ForEachHeadPart(state, worker, [&](const HeadPart& unit) {
      RunExpandedPart(state, layer, worker, group, unit);
    });
  }
  for (int64_t pass = 0; pass < state.plan.absorbed_passes(); ++pass) {
    if (pass > 0) worker.SyncAll();  // absorbed_q and partials are read no more
    RunAbsorbedPass(state, layer, worker, state.plan.AbsorbedPass(pass));
  }
}

}  // namespace mlad
