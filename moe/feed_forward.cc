#include "moe/feed_forward.h"

#include <algorithm>

#include "numa/cost_split.h"

namespace mlad {
namespace {

/// One SwiGLU with the tokens that go through it.
struct Branch {
  const SwiGlu* weights;
  int64_t tokens;
  const int32_t* input_rows;  // rows of the layer's input; null: all
  const int32_t* act_rows;    // rows of its activations; null: all
  const float* scale;         // router weights; null: 1
  float* act;
  Activations act_quantized;
};

Branch ExpertBranch(const FeedForwardStep& step, int64_t expert) {
  const ExpertDispatch& dispatch = *step.dispatch;
  return {&step.weights->experts[expert], dispatch.Count(expert),
          dispatch.Tokens(expert),        dispatch.Slots(expert),
          dispatch.Weights(expert),       step.expert_act,
          step.expert_quantized};
}

Branch AlwaysBranch(const FeedForwardStep& step) {
  return {
      &step.weights->always, step.tokens,          nullptr, nullptr, nullptr,
      step.always_act,       step.always_quantized};
}

/// Calls visit(branch) for experts with tokens, ascending, then `always`.
template <typename Visit>
void ForEachBranch(const FeedForwardStep& step, Visit visit) {
  if (step.dispatch != nullptr) {
    for (int64_t e = 0; e < step.dispatch->experts(); ++e) {
      if (step.dispatch->Count(e) > 0) visit(ExpertBranch(step, e));
    }
  }
  if (!step.weights->always.gate.empty()) visit(AlwaysBranch(step));
}

/// Panels [begin, end) of a matrix as a matrix of their own.
PackedMatrix Slice(const PackedMatrix& matrix, WorkRange panels) {
  PackedMatrix slice = matrix;
  slice.rows = std::min(panels.end * kPanelRows, matrix.rows) -
               panels.begin * kPanelRows;
  slice.data += panels.begin * PanelBytes(matrix.format, matrix.cols);
  return slice;
}

const int32_t* Advance(const int32_t* rows, int64_t by) {
  return rows == nullptr ? nullptr : rows + by;
}

void Multiply(const FeedForwardStep& step, const MatMulArgs& args) {
  step.kernels->matmul(args);
  step.traffic->Add(true, (args.panel_end - args.panel_begin) *
                              PanelBytes(args.w.format, args.w.cols));
}

/// gate and up for panels [begin, end) and tokens [first, first + count).
void GateUpTile(const FeedForwardStep& step, const Branch& branch, int node,
                WorkRange panels, WorkRange tokens) {
  const MatrixShard& gate = branch.weights->gate.shards[node];
  const MatrixShard& up = branch.weights->up.shards[node];
  const int64_t ffn = branch.weights->gate.rows;
  const int64_t count = tokens.end - tokens.begin;
  float* act = branch.act + gate.row_begin + panels.begin * kPanelRows;

  MatMulArgs args;
  args.w = Slice(gate.matrix, panels);
  args.panel_end = args.w.panels();
  args.tokens = count;
  if (branch.input_rows != nullptr) {
    args.x_f32 = step.input.f32;
    args.x_q = step.input.q;
  } else {
    args.x_f32 = step.input.Row(tokens.begin);
    args.x_q = step.input.QuantizedRow(tokens.begin);
  }
  args.x_rows = Advance(branch.input_rows, tokens.begin);
  args.out_rows = Advance(branch.act_rows, tokens.begin);
  args.out = branch.act_rows == nullptr ? act + tokens.begin * ffn : act;
  args.out_stride = ffn;
  Multiply(step, args);

  const int64_t stride = kGateUpPanels * kPanelRows;
  args.w = Slice(up.matrix, panels);
  args.out_rows = nullptr;
  args.out = step.scratch;
  args.out_stride = stride;
  Multiply(step, args);

  for (int64_t t = 0; t < count; ++t) {
    const int64_t slot = branch.act_rows == nullptr
                             ? tokens.begin + t
                             : branch.act_rows[tokens.begin + t];
    float* out = act + slot * ffn;
    step.kernels->silu_mul(out, step.scratch + t * stride, args.w.rows, out);
  }
}

void GateUpPanels(const FeedForwardStep& step, const Branch& branch, int node,
                  WorkRange panels) {
  for (int64_t p = panels.begin; p < panels.end; p += kGateUpPanels) {
    const WorkRange tile = {p, std::min(p + kGateUpPanels, panels.end)};
    for (int64_t t = 0; t < branch.tokens; t += kGateUpTokens) {
      GateUpTile(step, branch, node, tile,
                 {t, std::min(t + kGateUpTokens, branch.tokens)});
    }
  }
}

/// Relative cost of one panel: reading it counts like a few tokens' products.
int64_t PanelCost(const Branch& branch) {
  constexpr int64_t kReadingCostInTokens = 4;
  return branch.tokens + kReadingCostInTokens;
}

/// Reading floats of expert_act or always_act, which live on node 0.
void CountGathered(const FeedForwardStep& step, const WorkerContext& worker,
                   int64_t floats) {
  step.traffic->Add(worker.node == 0,
                    floats * static_cast<int64_t>(sizeof(float)));
}

bool DownReadsFloats(const SwiGlu& weights) {
  return ReadsFloatActivations(weights.down.shards[0].matrix.format);
}

void QuantizeRows(const FeedForwardStep& step, const WorkerContext& worker,
                  const float* act, int64_t rows, const Activations& copy) {
  const WorkRange range = SplitEvenly(rows, worker.workers, worker.worker);
  for (int64_t r = range.begin; r < range.end; ++r) {
    copy.Quantize(*step.kernels, r, act + r * copy.cols);
  }
  CountGathered(step, worker, range.size() * copy.cols);
}

}  // namespace

void RunGateUp(const FeedForwardStep& step, const WorkerContext& worker) {
  const int node = worker.node;
  int64_t total = 0;
  ForEachBranch(step, [&](const Branch& branch) {
    total +=
        branch.weights->gate.shards[node].matrix.panels() * PanelCost(branch);
  });
  CostSplit split(total, worker.workers, worker.worker);
  ForEachBranch(step, [&](const Branch& branch) {
    const WorkRange panels = split.Next(
        branch.weights->gate.shards[node].matrix.panels(), PanelCost(branch));
    if (panels.begin < panels.end) GateUpPanels(step, branch, node, panels);
  });
}

void RunQuantizeActivations(const FeedForwardStep& step,
                            const WorkerContext& worker) {
  const FeedForwardWeights& weights = *step.weights;
  if (step.slots > 0 && !DownReadsFloats(weights.experts[0])) {
    QuantizeRows(step, worker, step.expert_act, step.slots,
                 step.expert_quantized);
  }
  if (!weights.always.gate.empty() && !DownReadsFloats(weights.always)) {
    QuantizeRows(step, worker, step.always_act, step.tokens,
                 step.always_quantized);
  }
}

void RunDown(const FeedForwardStep& step, const WorkerContext& worker) {
  ForEachBranch(step, [&](const Branch& branch) {
    const ShardedMatrix& down = branch.weights->down;
    const MatrixShard& shard = down.shards[worker.node];
    const WorkRange panels =
        SplitEvenly(shard.matrix.panels(), worker.workers, worker.worker);
    if (panels.begin == panels.end) return;
    MatMulArgs args;
    args.w = shard.matrix;
    args.panel_begin = panels.begin;
    args.panel_end = panels.end;
    args.tokens = branch.tokens;
    args.x_f32 = branch.act;
    args.x_q = branch.act_quantized.q;
    args.x_rows = branch.act_rows;
    args.out_rows = branch.input_rows;
    args.scale = branch.scale;
    args.epilogue =
        branch.scale == nullptr ? Epilogue::kAdd : Epilogue::kScaledAdd;
    args.out = step.output + shard.row_begin;
    args.out_stride = down.rows;
    Multiply(step, args);
    if (DownReadsFloats(*branch.weights)) {
      CountGathered(step, worker, branch.tokens * down.cols);
    }
  });
}

}  // namespace mlad
