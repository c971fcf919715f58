// The part of attention that heads own: their queries, and what happens before
// and after the absorbed form. The expanded form is in expanded_stage.cc.
#include <algorithm>

#include "attention/absorbed.h"
#include "attention/merge.h"
#include "model/head_parts.h"
#include "model/stages.h"

namespace mlad {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

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
  if (worker.nodes > 1) {
    worker.SyncNode();
    MergeNodeLanes(state, worker, pass);
  }
  worker.SyncAll();
  ForEachPassRow(pass, [&](const RowGroup& group, int64_t i, int64_t pass_row) {
    own.pass_step_rows[pass_row] = static_cast<int32_t>(group.first_row + i);
  });
  ForEachHeadPart(state, worker, [&](const HeadPart& unit) {
    if (unit.part == 0) FinishHead(state, layer, worker, pass, unit.head);
  });
}

}  // namespace

void RunAttention(StepState& state, int64_t layer,
                  const WorkerContext& worker) {
  // The expanded form reads what the other nodes have just stored.
  if (!state.plan.expanded().empty()) worker.SyncAll();
  for (const RowGroup& group : state.plan.expanded()) {
    RunExpandedHeads(state, layer, worker, group);
  }
  for (int64_t pass = 0; pass < state.plan.absorbed_passes(); ++pass) {
    if (pass > 0) worker.SyncAll();  // absorbed_q and partials are read no more
    RunAbsorbedPass(state, layer, worker, state.plan.AbsorbedPass(pass));
  }
}

}  // namespace mlad
