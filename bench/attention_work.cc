// The stages of a layer from attention_norm to attention_output.
#include <algorithm>

#include "attention/latent_cache.h"
#include "attention/merge.h"
#include "bench/decode_work.h"
#include "kernels/kernels.h"
#include "model/step_plan.h"
#include "numa/cost_split.h"

namespace mlad {
namespace {

/// A sequence of the batch: its pages begin on this node.
int FirstNode(const DecodeCase& c, int64_t sequence) {
  return static_cast<int>(sequence % c.nodes);
}

/// Cached positions, the new token's own included, of one lane.
int64_t LanePositions(int64_t positions, int lane) {
  const int64_t pages = (positions + kPagePositions - 1) / kPagePositions;
  if (lane >= pages) return 0;
  const int64_t of_lane = (pages - lane + kLanes - 1) / kLanes;
  const bool has_last = (pages - 1) % kLanes == lane;
  const int64_t missing = has_last ? pages * kPagePositions - positions : 0;
  return of_lane * kPagePositions - missing;
}

/// One pass of absorbed attention: some sequences of the batch.
class PassWork {
 public:
  PassWork(const WorkContext& context, const LayerShape& layer,
           WorkRange sequences)
      : context_(context),
        c_(context.c),
        rates_(context.rates),
        layer_(layer),
        sequences_(sequences),
        rank_(static_cast<double>(c_.shape.kv_lora)),
        elements_(static_cast<double>(c_.shape.kv_lora + c_.shape.rope)),
        row_bytes_(static_cast<double>(
            *KvRowBytes(c_.kv_type, c_.shape.kv_lora + c_.shape.rope))) {}

  void AddStages() const {
    const bool merges = c_.nodes > 1 && PositionsAreSplit();
    const SyncScope kAll = SyncScope::kAllNodes;
    ForEachNode("absorb_queries", kAll,
                [&](int n) { return AbsorbQueries(n); });
    ForEachNode("absorbed_attention", merges ? SyncScope::kOwnNode : kAll,
                [&](int n) { return Attend(n); });
    if (merges) {
      ForEachNode("merge_own_lanes", kAll,
                  [&](int n) { return MergeOwnLanes(n); });
    }
    ForEachNode("finish_heads", kAll, [&](int n) { return FinishHeads(n); });
  }

 private:
  template <typename Work>
  void ForEachNode(const char* name, SyncScope end, Work work) const {
    StageWork& stage = context_.Add(name, end);
    for (int n = 0; n < c_.nodes; ++n) stage.nodes[n] = work(n);
  }

  bool PositionsAreSplit() const {
    return c_.attention == AttentionSplit::kPositions;
  }
  int64_t rows() const { return sequences_.size(); }
  int64_t Heads(int node) const {
    return SplitEvenly(c_.shape.heads, c_.nodes, node).size();
  }

  /// A matrix of each of the node's heads, some of them cut into parts.
  NodeWork HeadProduct(const MatrixShape& matrix, int64_t heads,
                       int64_t most_panels) const {
    const auto tokens = static_cast<double>(rows());
    NodeWork work;
    work.stream_s = static_cast<double>(most_panels) * matrix.panel_bytes() *
                    rates_.matmul.at(matrix.format).At(rows());
    if (!ReadsFloatActivations(matrix.format)) {
      work.compute_s = tokens * static_cast<double>(matrix.cols) *
                       rates_.quantize_s_per_float;
    }
    work.local_bytes =
        static_cast<double>(heads * matrix.panels()) * matrix.panel_bytes();
    work.memory_bytes = sequences_.begin == 0 ? work.local_bytes : 0;
    return work;
  }

  NodeWork AbsorbQueries(int node) const {
    const int64_t heads = Heads(node);
    if (heads == 0) return {};
    const int parts =
        static_cast<int>(std::max<int64_t>(1, c_.workers / heads));
    const int64_t units = SplitEvenly(heads * parts, c_.workers, 0).size();
    const int64_t panels = SplitEvenly(layer_.k_b.panels(), parts, 0).size();
    NodeWork work = HeadProduct(layer_.k_b, heads, units * panels);
    work.compute_s *= static_cast<double>(units);
    return work;
  }

  /// Whether a node reads a lane, and for how many heads.
  bool ReadsLane(int node, int lane, int64_t sequence) const {
    return !PositionsAreSplit() ||
           LaneNode(lane, FirstNode(c_, sequence), c_.nodes) == node;
  }

  NodeWork Attend(int node) const {
    NodeWork busiest, sum;
    for (int w = 0; w < c_.workers; ++w) {
      const NodeWork work = AttendOne(node, w);
      sum.local_bytes += work.local_bytes;
      sum.remote_bytes += work.remote_bytes;
      if (work.stream_s + work.compute_s >
          busiest.stream_s + busiest.compute_s) {
        busiest = work;
      }
    }
    busiest.local_bytes = sum.local_bytes;
    busiest.remote_bytes = sum.remote_bytes;
    AddLatentTraffic(node, busiest);
    return busiest;
  }

  /// From memory a latent comes once for all workers of the node.
  void AddLatentTraffic(int node, NodeWork& work) const {
    double bytes = 0;
    for (int64_t s = sequences_.begin; s < sequences_.end; ++s) {
      for (int lane = 0; lane < kLanes; ++lane) {
        if (!ReadsLane(node, lane, s)) continue;
        bytes +=
            row_bytes_ * static_cast<double>(LanePositions(c_.depth + 1, lane));
      }
    }
    const double own_share =
        c_.attention == AttentionSplit::kHeads ? 1.0 / c_.nodes : 1;
    work.memory_bytes = bytes * own_share;
    work.far_memory_bytes = bytes * (1 - own_share);
    work.remote_bytes += work.local_bytes * (1 - own_share);
    work.local_bytes *= own_share;
  }

  /// As RunAbsorbed splits the node's lanes over its workers.
  NodeWork AttendOne(int node, int worker) const {
    const int64_t heads = PositionsAreSplit() ? c_.shape.heads : Heads(node);
    const int64_t unit = rates_.attention_head_unit;
    const int64_t units = (heads + unit - 1) / unit;
    const int64_t pages = c_.depth / kPagePositions + 1;
    const auto for_each_lane = [&](auto visit) {
      for (int64_t s = sequences_.begin; s < sequences_.end; ++s) {
        for (int lane = 0; lane < ActiveLanes(c_.depth); ++lane) {
          if (!ReadsLane(node, lane, s)) continue;
          visit(s, lane, (pages - lane + kLanes - 1) / kLanes);
        }
      }
    };
    int64_t total = 0;
    for_each_lane([&](int64_t, int, int64_t cost) { total += units * cost; });
    CostSplit split(total, c_.workers, worker);
    int64_t counted = -1;
    NodeWork work;
    for_each_lane([&](int64_t s, int lane, int64_t cost) {
      const WorkRange mine = split.Next(units, cost);
      if (mine.size() <= 0) return;
      const int64_t mine_heads =
          std::min(mine.end * unit, heads) - mine.begin * unit;
      AddUnit(static_cast<double>(mine_heads),
              static_cast<double>(LanePositions(c_.depth + 1, lane)), work);
      if (counted != s) {
        AddQueries(node, static_cast<double>(mine_heads), work);
      }
      counted = s;
    });
    return work;
  }

  void AddUnit(double heads, double positions, NodeWork& work) const {
    work.stream_s += positions * rates_.walk_s_per_position;
    work.compute_s += heads * positions * rates_.absorb_s_per_head_position +
                      heads * rank_ * rates_.partial_s_per_float;
    work.local_bytes += positions * row_bytes_;
  }

  void AddQueries(int node, double heads, NodeWork& work) const {
    const double bytes = heads * elements_ * kFloatBytes;
    const bool near = node == 0 || !PositionsAreSplit();
    (near ? work.near_bytes : work.first_bytes) += bytes;
    (near ? work.local_bytes : work.remote_bytes) += bytes;
  }

  NodeWork MergeOwnLanes(int node) const {
    int64_t lanes = 0;
    for (int lane = 0; lane < ActiveLanes(c_.depth); ++lane) {
      lanes += ReadsLane(node, lane, sequences_.begin) ? 1 : 0;
    }
    const double floats =
        static_cast<double>(SplitEvenly(c_.shape.heads, c_.workers, 0).size() *
                            rows() * lanes) *
        rank_;
    NodeWork work;
    work.compute_s = floats * rates_.merge_s_per_float;
    work.near_bytes = floats * kFloatBytes;
    return work;
  }

  NodeWork FinishHeads(int node) const {
    const int64_t heads = Heads(node);
    if (heads == 0) return {};
    const int64_t most = SplitEvenly(heads, c_.workers, 0).size();
    const int64_t active = ActiveLanes(c_.depth);
    const bool gathers = c_.nodes > 1 && PositionsAreSplit();
    const int64_t lanes =
        gathers ? std::min<int64_t>(active, c_.nodes) : active;
    NodeWork work = HeadProduct(layer_.v_b, heads, most * layer_.v_b.panels());
    const double floats = static_cast<double>(rows() * lanes) * rank_;
    work.compute_s += floats * rates_.merge_s_per_float;
    work.compute_s *= static_cast<double>(most);
    const double far_share = gathers ? 1 - 1.0 / c_.nodes : 0;
    const double most_bytes = static_cast<double>(most) * floats * kFloatBytes;
    work.near_bytes = most_bytes * (1 - far_share);
    work.spread_bytes = most_bytes * far_share;
    const double bytes =
        static_cast<double>(heads * rows() * lanes) * (rank_ + 1) * kFloatBytes;
    work.local_bytes += bytes * (1 - far_share);
    work.remote_bytes += bytes * far_share;
    return work;
  }

  const WorkContext& context_;
  const DecodeCase& c_;
  const KernelRates& rates_;
  const LayerShape& layer_;
  const WorkRange sequences_;
  const double rank_, elements_, row_bytes_;
};

/// The new rows of all sequences go to the nodes that hold their pages.
NodeWork StoreLatents(const WorkContext& context, int node) {
  const DecodeCase& c = context.c;
  const int lane = static_cast<int>(c.depth / kPagePositions % kLanes);
  int64_t rows = 0;
  for (int64_t s = 0; s < c.batch; ++s) {
    const bool here = c.attention == AttentionSplit::kHeadsMirrored ||
                      LaneNode(lane, FirstNode(c, s), c.nodes) == node;
    rows += here ? 1 : 0;
  }
  // Rows of one position go to one worker.
  const double bytes =
      static_cast<double>(rows * (c.shape.kv_lora + c.shape.rope)) *
      kFloatBytes;
  NodeWork work;
  work.compute_s = static_cast<double>(rows) * context.rates.store_s_per_latent;
  (node == 0 ? work.near_bytes : work.first_bytes) = bytes;
  (node == 0 ? work.local_bytes : work.remote_bytes) = bytes;
  return work;
}

void AddProjections(const WorkContext& context, const LayerShape& layer) {
  const DecodeCase& c = context.c;
  const int64_t head_rows = c.shape.nope + c.shape.rope;
  const bool compressed = c.shape.q_lora > 0;
  StageWork& down = context.Add("down_projections");
  for (int n = 0; n < c.nodes; ++n) {
    down.nodes[n] = compressed
                        ? ShardedProduct(context, layer.q_a, kPanelRows, n)
                        : ShardedProduct(context, layer.q, head_rows, n);
    down.nodes[n] += ShardedProduct(context, layer.kv_a, kPanelRows, n);
  }
  StageWork& store = context.Add("store_latents", SyncScope::kOwnNode);
  for (int n = 0; n < c.nodes; ++n) {
    store.nodes[n] = StoreLatents(context, n);
    if (!compressed) continue;
    store.nodes[n] += RowWork(context, n, c.batch, c.shape.q_lora,
                              context.rates.norm_s_per_float);
  }
  if (!compressed) return;
  StageWork& queries = context.Add("queries", SyncScope::kOwnNode);
  for (int n = 0; n < c.nodes; ++n) {
    queries.nodes[n] = ShardedProduct(context, layer.q, head_rows, n);
  }
}

}  // namespace

void AddAttentionWork(const WorkContext& context, const LayerShape& layer) {
  const DecodeCase& c = context.c;
  StageWork& norm = context.Add("attention_norm", SyncScope::kOwnNode);
  for (int n = 0; n < c.nodes; ++n) {
    norm.nodes[n] = RowWork(context, n, c.batch, c.shape.hidden,
                            context.rates.norm_s_per_float);
  }
  AddProjections(context, layer);
  const int64_t rows =
      MakeStepLimits(c.shape.heads, c.shape.kv_lora, 1).absorbed_rows;
  for (int64_t s = 0; s < c.batch; s += rows) {
    PassWork(context, layer, {s, std::min(s + rows, c.batch)}).AddStages();
  }
  StageWork& quantize = context.Add("quantize_attention", SyncScope::kOwnNode);
  StageWork output = {"attention_output", std::vector<NodeWork>(c.nodes),
                      context.times};
  for (int n = 0; n < c.nodes; ++n) {
    quantize.nodes[n] = RowWork(context, n, c.batch, c.shape.heads * c.shape.v,
                                context.rates.quantize_s_per_float);
    output.nodes[n] = ShardedProduct(context, layer.output, kPanelRows, n);
  }
  context.stages.push_back(std::move(output));
}

}  // namespace mlad
