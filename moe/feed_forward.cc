#include "moe/feed_forward.h"

#include <algorithm>

#include "moe/branch.h"
#include "moe/whole_experts.h"
#include "numa/cost_split.h"

namespace mlad {
namespace {

/// Of a worker's piece of `down`: each takes part in all experts.
constexpr int64_t kLeastDownPanels = 4;

/// Calls visit(branch) for the experts that the node has a part in, ascending,
/// then for `always`.
template <typename Visit>
void ForEachBranchOf(const FeedForwardStep& step, int node, Visit visit) {
  ForEachExpertOf(step, node, visit);
  if (!step.weights->always.gate.empty()) visit(AlwaysBranch(step));
}

const int32_t* Advance(const int32_t* rows, int64_t by) {
  return rows == nullptr ? nullptr : rows + by;
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
  args.w = SlicePanels(gate.matrix, panels);
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
  MultiplyPanels(step, args);

  const int64_t stride = kGateUpPanels * kPanelRows;
  args.w = SlicePanels(up.matrix, panels);
  args.out_rows = nullptr;
  args.out = step.scratch;
  args.out_stride = stride;
  MultiplyPanels(step, args);

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

/// Reading floats of activations that were gathered on node 0.
void CountGathered(const FeedForwardStep& step, const WorkerContext& worker,
                   int64_t floats) {
  step.traffic->Add(worker.node == 0,
                    floats * static_cast<int64_t>(sizeof(float)));
}

/// Row r of `rows` rows is of token r / (rows / tokens), and as exact as that.
ActivationBits BitsOfRow(const FeedForwardStep& step, int64_t row,
                         int64_t rows) {
  return step.input.q.bits[row / (rows / step.tokens)];
}

void QuantizeRows(const FeedForwardStep& step, const WorkerContext& worker,
                  const float* act, int64_t rows, const Activations& copy) {
  const WorkRange range = SplitEvenly(rows, worker.workers, worker.worker);
  for (int64_t r = range.begin; r < range.end; ++r) {
    copy.Quantize(*step.kernels, r, act + r * copy.cols,
                  BitsOfRow(step, r, rows));
  }
  CountGathered(step, worker, range.size() * copy.cols);
}

/// Slots of the experts computed on this node; their activations are its own.
void QuantizeWholeExperts(const FeedForwardStep& step,
                          const WorkerContext& worker) {
  const Activations& copy = step.expert_quantized;
  int64_t next = 0;
  ForEachExpertOf(step, worker.node, [&](const Branch& branch) {
    for (int64_t i = 0; i < branch.tokens; ++i) {
      if (next++ % worker.workers != worker.worker) continue;
      const int64_t slot = branch.act_rows[i];
      copy.Quantize(*step.kernels, slot, step.expert_act + slot * copy.cols,
                    BitsOfRow(step, slot, step.slots));
      step.traffic->Add(true, copy.cols * static_cast<int64_t>(sizeof(float)));
    }
  });
}

/// output += down of one branch, for panels of this node's rows.
void DownRows(const FeedForwardStep& step, const WorkerContext& worker,
              const Branch& branch, WorkRange panels) {
  const ShardedMatrix& down = branch.weights->down;
  const MatrixShard& shard = down.shards[worker.node];
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
  MultiplyPanels(step, args);
}

/// A worker's reading of float activations: once, for all of its pieces.
void CountDownInput(const FeedForwardStep& step, const WorkerContext& worker,
                    const Branch& branch) {
  if (DownReadsFloats(*branch.weights)) {
    CountGathered(step, worker, branch.tokens * branch.weights->down.cols);
  }
}

/// Of the node's rows of the layer's output. Whole experts' rows are not the
/// node's.
int64_t DownPanels(const FeedForwardStep& step, int node) {
  const FeedForwardWeights& weights = *step.weights;
  if (!weights.always.gate.empty()) {
    return weights.always.down.shards[node].matrix.panels();
  }
  return step.experts_are_whole()
             ? 0
             : weights.experts[0].down.shards[node].matrix.panels();
}

}  // namespace

PackedMatrix SlicePanels(const PackedMatrix& matrix, WorkRange panels) {
  PackedMatrix slice = matrix;
  slice.rows = std::min(panels.end * kPanelRows, matrix.rows) -
               panels.begin * kPanelRows;
  slice.data += panels.begin * PanelBytes(matrix.format, matrix.cols);
  return slice;
}

void MultiplyPanels(const FeedForwardStep& step, const MatMulArgs& args) {
  step.kernels->matmul(args);
  step.traffic->Add(true, (args.panel_end - args.panel_begin) *
                              PanelBytes(args.w.format, args.w.cols));
}

bool DownReadsFloats(const SwiGlu& weights) {
  return ReadsFloatActivations(weights.down.shards[0].matrix.format);
}

void RunGateUp(const FeedForwardStep& step, const WorkerContext& worker) {
  const int node = worker.node;
  int64_t total = 0, all_panels = 0;
  ForEachBranchOf(step, node, [&](const Branch& branch) {
    const int64_t panels = branch.weights->gate.shards[node].matrix.panels();
    total += panels * ExpertPanelCost(branch.tokens);
    all_panels += panels;
  });
  if (total == 0) return;
  const int64_t least = total * kGateUpPanels / all_panels;
  worker.ShareOut(total, least, [&](WorkRange share) {
    CostSplit split(share);
    ForEachBranchOf(step, node, [&](const Branch& branch) {
      const WorkRange panels =
          split.Next(branch.weights->gate.shards[node].matrix.panels(),
                     ExpertPanelCost(branch.tokens));
      if (panels.begin < panels.end) GateUpPanels(step, branch, node, panels);
    });
  });
}

void RunQuantizeActivations(const FeedForwardStep& step,
                            const WorkerContext& worker) {
  const FeedForwardWeights& weights = *step.weights;
  if (step.slots > 0 && !DownReadsFloats(weights.experts[0])) {
    if (step.experts_are_whole()) {
      QuantizeWholeExperts(step, worker);
    } else {
      QuantizeRows(step, worker, step.expert_act, step.slots,
                   step.expert_quantized);
    }
  }
  if (!weights.always.gate.empty() && !DownReadsFloats(weights.always)) {
    QuantizeRows(step, worker, step.always_act, step.tokens,
                 step.always_quantized);
  }
}

void RunDown(const FeedForwardStep& step, const WorkerContext& worker) {
  const bool whole = step.slots > 0 && step.experts_are_whole();
  if (whole) RunWholeDown(step, worker);
  const auto for_each = [&](auto visit) {
    if (!whole) ForEachExpert(step, visit);
    if (!step.weights->always.gate.empty()) visit(AlwaysBranch(step));
  };
  bool has_share = false;
  // A row's sum over the branches has one order: one worker's.
  worker.ShareOut(DownPanels(step, worker.node), kLeastDownPanels,
                  [&](WorkRange panels) {
                    has_share = true;
                    for_each([&](const Branch& branch) {
                      DownRows(step, worker, branch, panels);
                    });
                  });
  if (!has_share) return;
  for_each([&](const Branch& branch) { CountDownInput(step, worker, branch); });
}

}  // namespace mlad
