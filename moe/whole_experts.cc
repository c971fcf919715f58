#include "moe/whole_experts.h"

#include <algorithm>

#include "moe/branch.h"
#include "numa/cost_split.h"

namespace mlad {
namespace {

constexpr int64_t kOutFloats = int64_t{2} << 20;
constexpr int64_t kLeastPanels = 4;  // of a worker's piece

/// Panels of output rows that are computed before they are summed: as many as
/// fit into expert_out, for every slot.
int64_t TilePanels(int64_t slots, int64_t hidden_panels) {
  const int64_t fit = kOutFloats / (slots * kPanelRows);
  return std::clamp<int64_t>(fit, 1, hidden_panels);
}

/// Some panels of output rows.
struct Tile {
  WorkRange panels;
  int64_t rows;  // of these panels that exist: the stride of expert_out
};

/// Some of the tile's rows of one expert.
void ComputePanels(const FeedForwardStep& step, const WorkerContext& worker,
                   const Tile& tile, const Branch& branch, WorkRange panels) {
  MatMulArgs args;
  args.w = SlicePanels(
      branch.weights->down.shards[worker.node].matrix,
      {tile.panels.begin + panels.begin, tile.panels.begin + panels.end});
  args.panel_end = args.w.panels();
  args.tokens = branch.tokens;
  args.x_f32 = branch.act;
  args.x_q = branch.act_quantized.q;
  args.x_rows = branch.act_rows;
  args.out_rows = branch.act_rows;
  args.out = step.expert_out[worker.node] + panels.begin * kPanelRows;
  args.out_stride = tile.rows;
  MultiplyPanels(step, args);
}

/// This worker's part of the tile's rows of the experts computed on its node.
void ComputeTile(const FeedForwardStep& step, const WorkerContext& worker,
                 const Tile& tile) {
  int64_t total = 0, experts = 0;
  ForEachExpertOf(step, worker.node, [&](const Branch& branch) {
    total += tile.panels.size() * ExpertPanelCost(branch.tokens);
    ++experts;
  });
  if (total == 0) return;
  const int64_t least =
      total * kLeastPanels / (experts * tile.panels.size()) + 1;
  worker.ShareOut(total, least, [&](WorkRange share) {
    CostSplit split(share);
    ForEachExpertOf(step, worker.node, [&](const Branch& branch) {
      const WorkRange mine =
          split.Next(tile.panels.size(), ExpertPanelCost(branch.tokens));
      if (mine.begin < mine.end)
        ComputePanels(step, worker, tile, branch, mine);
    });
  });
}

/// Adds what the experts made of some of the tile's rows to the output.
void SumTile(const FeedForwardStep& step, const WorkerContext& worker,
             const Tile& tile) {
  const WorkRange panels = SplitEvenly(
      tile.panels.size(), worker.global_workers, worker.global_worker);
  const int64_t first = panels.begin * kPanelRows;
  const int64_t count = std::min(panels.end * kPanelRows, tile.rows) - first;
  if (count <= 0) return;
  const int64_t hidden = step.weights->experts[0].down.rows;
  float* output = step.output + tile.panels.begin * kPanelRows + first;
  ForEachExpert(step, [&](const Branch& branch) {
    const int node = step.dispatch->NodeOf(branch.expert);
    const float* results = step.expert_out[node] + first;
    for (int64_t i = 0; i < branch.tokens; ++i) {
      step.kernels->scaled_add(results + branch.act_rows[i] * tile.rows, count,
                               branch.scale[i],
                               output + branch.input_rows[i] * hidden);
    }
    step.traffic->Add(
        node == worker.node,
        branch.tokens * count * static_cast<int64_t>(sizeof(float)));
  });
}

}  // namespace

int64_t WholeExpertOutFloats(int64_t slots, int64_t hidden_size) {
  const int64_t panels = (hidden_size + kPanelRows - 1) / kPanelRows;
  const int64_t one_panel = slots * kPanelRows;
  return std::max(std::min(kOutFloats, one_panel * panels), one_panel);
}

void RunWholeDown(const FeedForwardStep& step, const WorkerContext& worker) {
  const int64_t hidden = step.weights->experts[0].down.rows;
  const int64_t panels = (hidden + kPanelRows - 1) / kPanelRows;
  const int64_t tile_panels = TilePanels(step.slots, panels);
  for (int64_t p = 0; p < panels; p += tile_panels) {
    Tile tile = {{p, std::min(p + tile_panels, panels)}, 0};
    tile.rows = std::min(tile.panels.end * kPanelRows, hidden) - p * kPanelRows;
    ComputeTile(step, worker, tile);
    worker.SyncAll();
    SumTile(step, worker, tile);
    worker.SyncAll();
  }
}

}  // namespace mlad
