// The stages of a layer from feed_forward_norm to down.
#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "bench/decode_work.h"
#include "kernels/kernels.h"
#include "moe/feed_forward.h"
#include "moe/whole_experts.h"
#include "numa/placement_plan.h"

namespace mlad {
namespace {

constexpr int kDraws = 200;  // where the result depends on who is drawn

double At(const WorkContext& context, const MatrixShape& matrix,
          int64_t tokens) {
  return matrix.panel_bytes() *
         context.rates.matmul.at(matrix.format).At(tokens);
}

/// Tokens of each expert when a batch is routed at random: every group, and
/// every expert within the groups, is as likely as the others.
class ExpertDraw {
 public:
  explicit ExpertDraw(const DecodeCase& c) : c_(c) {}

  std::vector<int64_t> Next() {
    const int64_t groups = std::max<int64_t>(c_.shape.groups, 1);
    const int64_t used =
        c_.shape.groups > 0 ? c_.shape.groups_used : int64_t{1};
    const int64_t in_group = c_.shape.experts / groups;
    std::vector<int64_t> counts(c_.shape.experts);
    for (int64_t t = 0; t < c_.batch; ++t) {
      const std::vector<int64_t> chosen = Choose(groups, used);
      for (const int64_t e : Choose(used * in_group, c_.shape.experts_used)) {
        ++counts[chosen[e / in_group] * in_group + e % in_group];
      }
    }
    return counts;
  }

 private:
  /// `count` different numbers below `of`.
  std::vector<int64_t> Choose(int64_t of, int64_t count) {
    std::vector<int64_t> all(of);
    for (int64_t i = 0; i < of; ++i) all[i] = i;
    for (int64_t i = 0; i < count; ++i) {
      const auto left = static_cast<uint64_t>(of - i);
      std::swap(all[i], all[i + static_cast<int64_t>(random_() % left)]);
    }
    all.resize(count);
    return all;
  }

  const DecodeCase& c_;
  std::mt19937_64 random_{1};
};

/// What a node's workers share by cost: units of some seconds.
class SharedUnits {
 public:
  void Add(int64_t units, double unit_s) {
    total_s_ += static_cast<double>(units) * unit_s;
    if (units > 0) largest_s_ = std::max(largest_s_, unit_s);
  }
  /// Of the worker with the most.
  double Most(int workers) const {
    if (largest_s_ == 0) return 0;
    // A share is whole units.
    const double units = total_s_ / largest_s_ / workers;
    return std::ceil(units - 1e-9) * largest_s_;
  }

 private:
  double total_s_ = 0, largest_s_ = 0;
};

/// A feed-forward with the experts of one draw.
class DrawnWork {
 public:
  DrawnWork(const WorkContext& context, const LayerShape& layer,
            const std::vector<int64_t>& counts)
      : context_(context),
        c_(context.c),
        rates_(context.rates),
        layer_(layer),
        counts_(counts) {}

  NodeWork GateUp(int node) const {
    NodeWork work;
    SharedUnits shared;
    const auto add = [&](const SwiGluShape& w, int64_t panels, int64_t tokens) {
      shared.Add(panels,
                 At(context_, w.gate, tokens) + At(context_, w.up, tokens));
      work.memory_bytes += static_cast<double>(panels) *
                           (w.gate.panel_bytes() + w.up.panel_bytes());
    };
    ForEachExpertOf(node, [&](int64_t tokens) {
      add(layer_.expert, Panels(layer_.expert.gate, node), tokens);
    });
    if (layer_.always.gate.rows > 0) {
      add(layer_.always, SlicedPanels(layer_.always.gate, node), c_.batch);
    }
    work.stream_s = shared.Most(c_.workers);
    work.local_bytes = work.memory_bytes;
    work.near_bytes = QuantizedBytes(c_.batch, c_.shape.hidden);
    return work;
  }

  NodeWork Quantize(int node) const {
    NodeWork work;
    if (layer_.expert.down.rows > 0 &&
        !ReadsFloatActivations(layer_.expert.down.format)) {
      const int64_t slots = SlotsOf(node);
      // Whole experts' activations are the node's own.
      work += RowWork(context_, IsWhole() ? 0 : node, slots,
                      layer_.expert.down.cols, rates_.quantize_s_per_float);
    }
    if (layer_.always.down.rows > 0 &&
        !ReadsFloatActivations(layer_.always.down.format)) {
      work += RowWork(context_, node, c_.batch, layer_.always.down.cols,
                      rates_.quantize_s_per_float);
    }
    return work;
  }

  /// Sliced: every expert's rows are shared for themselves.
  NodeWork DownRows(int node) const {
    NodeWork work;
    const auto add = [&](const MatrixShape& down, int64_t tokens) {
      const int64_t panels = SlicedPanels(down, node);
      work.stream_s +=
          static_cast<double>(SplitEvenly(panels, c_.workers, 0).size()) *
          At(context_, down, tokens);
      work.memory_bytes += static_cast<double>(panels) * down.panel_bytes();
      work.near_bytes += QuantizedBytes(tokens, down.cols);
    };
    if (!IsWhole()) {
      ForEachExpertOf(node,
                      [&](int64_t tokens) { add(layer_.expert.down, tokens); });
    }
    if (layer_.always.down.rows > 0) add(layer_.always.down, c_.batch);
    work.local_bytes = work.memory_bytes;
    return work;
  }

  /// Whole: the node's experts, for the rows of one of `tiles` tiles.
  NodeWork DownWhole(int node, int64_t tiles) const {
    const MatrixShape& down = layer_.expert.down;
    SharedUnits shared;
    NodeWork work;
    ForEachExpertOf(node, [&](int64_t tokens) {
      const int64_t panels = (down.panels() + tiles - 1) / tiles;
      shared.Add(panels, At(context_, down, tokens));
      work.memory_bytes += static_cast<double>(down.panels()) /
                           static_cast<double>(tiles) * down.panel_bytes();
      work.near_bytes += QuantizedBytes(tokens, down.cols);
    });
    work.stream_s = shared.Most(c_.workers);
    work.local_bytes = work.memory_bytes;
    return work;
  }

  /// The sum of what whole experts made, over all of whose nodes.
  NodeWork SumWhole(int64_t tiles) const {
    const auto slots = static_cast<double>(c_.batch * c_.shape.experts_used);
    const int64_t panels = (layer_.expert.down.panels() + tiles - 1) / tiles;
    const auto most = static_cast<double>(
        SplitEvenly(panels, c_.workers * c_.nodes, 0).size() * kPanelRows);
    const double far_share = 1 - 1.0 / c_.nodes;
    const double bytes = slots * static_cast<double>(c_.shape.hidden) *
                         kFloatBytes / c_.nodes / static_cast<double>(tiles);
    NodeWork work;
    work.compute_s = slots * most * rates_.add_s_per_float;
    work.near_bytes = slots * most * kFloatBytes * (1 - far_share);
    work.spread_bytes = slots * most * kFloatBytes * far_share;
    work.local_bytes = bytes * (1 - far_share);
    work.remote_bytes = bytes * far_share;
    return work;
  }

 private:
  bool IsWhole() const { return c_.experts == MoePlacement::kWhole; }
  int64_t SlicedPanels(const MatrixShape& matrix, int node) const {
    return SplitEvenly(matrix.panels(), c_.nodes, node).size();
  }
  int64_t Panels(const MatrixShape& matrix, int node) const {
    return IsWhole() ? matrix.panels() : SlicedPanels(matrix, node);
  }
  static double QuantizedBytes(int64_t rows, int64_t cols) {
    const int64_t blocks = rows * cols / kQuantBlock;
    return static_cast<double>(blocks) *
           static_cast<double>(sizeof(ActivationBlock) + sizeof(float) +
                               sizeof(ActivationSums));
  }
  int64_t SlotsOf(int node) const {
    int64_t slots = 0;
    ForEachExpertOf(node, [&](int64_t tokens) { slots += tokens; });
    return slots;
  }
  /// visit(tokens) for the experts that the node has a part in.
  template <typename Visit>
  void ForEachExpertOf(int node, Visit visit) const {
    for (size_t e = 0; e < counts_.size(); ++e) {
      const bool here =
          !IsWhole() || ExpertHome(static_cast<int64_t>(e), c_.nodes) == node;
      if (counts_[e] > 0 && here) visit(counts_[e]);
    }
  }

  const WorkContext& context_;
  const DecodeCase& c_;
  const KernelRates& rates_;
  const LayerShape& layer_;
  const std::vector<int64_t>& counts_;
};

void Scale(NodeWork& work, double factor) {
  for (double* value :
       {&work.stream_s, &work.compute_s, &work.near_bytes, &work.first_bytes,
        &work.spread_bytes, &work.memory_bytes, &work.far_memory_bytes,
        &work.local_bytes, &work.remote_bytes}) {
    *value *= factor;
  }
}

/// Means over draws of experts. Everybody waits for the busiest node: each
/// draw's nodes are added by how busy they are, the busiest to the last.
template <typename Work>
void AddMeans(const std::vector<std::vector<int64_t>>& draws, StageWork& stage,
              Work work) {
  for (const std::vector<int64_t>& counts : draws) {
    std::vector<NodeWork> nodes;
    for (size_t n = 0; n < stage.nodes.size(); ++n) {
      nodes.push_back(work(counts, static_cast<int>(n)));
    }
    std::stable_sort(nodes.begin(), nodes.end(),
                     [](const NodeWork& a, const NodeWork& b) {
                       return a.stream_s < b.stream_s;
                     });
    for (size_t n = 0; n < nodes.size(); ++n) stage.nodes[n] += nodes[n];
  }
  for (NodeWork& node : stage.nodes) {
    Scale(node, 1 / static_cast<double>(draws.size()));
  }
}

std::vector<std::vector<int64_t>> DrawExperts(const DecodeCase& c,
                                              bool has_experts) {
  if (!has_experts) return {{}};
  // One token's experts are as many whoever they are; where slices balance
  // them, that is all that matters.
  const bool alike = c.batch == 1 && c.experts != MoePlacement::kWhole;
  ExpertDraw draw(c);
  std::vector<std::vector<int64_t>> draws;
  for (int i = 0; i < (alike ? 1 : kDraws); ++i) draws.push_back(draw.Next());
  return draws;
}

/// Of expert_out, as RunWholeDown cuts the rows.
int64_t WholeTiles(const DecodeCase& c) {
  const int64_t slots = c.batch * c.shape.experts_used;
  const int64_t panels = (c.shape.hidden + kPanelRows - 1) / kPanelRows;
  const int64_t fit =
      WholeExpertOutFloats(slots, c.shape.hidden) / (slots * kPanelRows);
  const int64_t at_once = std::clamp<int64_t>(fit, 1, panels);
  return (panels + at_once - 1) / at_once;
}

void AddRouter(const WorkContext& context, const LayerShape& layer) {
  const DecodeCase& c = context.c;
  StageWork& logits = context.Add("router_logits");
  for (int n = 0; n < c.nodes; ++n) {
    logits.nodes[n] = ShardedProduct(context, layer.router, kPanelRows, n);
  }
  StageWork& routing = context.Add("routing", SyncScope::kOwnNode);
  for (int n = 0; n < c.nodes; ++n) {
    routing.nodes[n] = RowWork(context, n, c.batch, c.shape.experts,
                               context.rates.route_s_per_expert);
  }
}

}  // namespace

void AddFeedForwardWork(const WorkContext& context, const LayerShape& layer) {
  const DecodeCase& c = context.c;
  StageWork& norm = context.Add("feed_forward_norm", SyncScope::kOwnNode);
  for (int n = 0; n < c.nodes; ++n) {
    norm.nodes[n] = RowWork(context, n, c.batch, c.shape.hidden,
                            context.rates.norm_s_per_float);
  }
  const bool has_experts = layer.router.rows > 0;
  if (has_experts) AddRouter(context, layer);
  const auto draws = DrawExperts(c, has_experts);
  const SyncScope kAll = SyncScope::kAllNodes, kNode = SyncScope::kOwnNode;
  const auto add = [&](const char* name, SyncScope end, int64_t repeats,
                       auto work) {
    StageWork& stage = context.Add(name, end);
    stage.times *= repeats;
    AddMeans(draws, stage, [&](const std::vector<int64_t>& counts, int node) {
      return work(DrawnWork(context, layer, counts), node);
    });
  };
  add("gate_up", kAll, 1,
      [](const DrawnWork& work, int node) { return work.GateUp(node); });
  add("quantize_activations", kNode, 1,
      [](const DrawnWork& work, int node) { return work.Quantize(node); });
  if (has_experts && c.experts == MoePlacement::kWhole) {
    const int64_t tiles = WholeTiles(c);
    add("whole_down", kAll, tiles, [&](const DrawnWork& work, int node) {
      return work.DownWhole(node, tiles);
    });
    add("sum_experts", kAll, tiles,
        [&](const DrawnWork& work, int) { return work.SumWhole(tiles); });
  }
  add("down", kAll, 1,
      [](const DrawnWork& work, int node) { return work.DownRows(node); });
}

}  // namespace mlad
