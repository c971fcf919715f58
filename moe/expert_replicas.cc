#include "moe/expert_replicas.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "numa/placement_plan.h"

namespace mlad {
namespace {

/// A replica stays until another expert is chosen a quarter more often.
bool IsClearlyHotter(int64_t candidate, int64_t held) {
  return candidate * 4 > held * 5;
}

/// The three matrices of an expert on a node.
struct ExpertMatrices {
  MatrixShard *gate, *up, *down;
};

ExpertMatrices MatricesOn(FeedForwardWeights& weights, int64_t expert,
                          int node) {
  SwiGlu& swiglu = weights.experts[expert];
  return {&swiglu.gate.shards[node], &swiglu.up.shards[node],
          &swiglu.down.shards[node]};
}

int64_t Bytes(const PackedMatrix& matrix) {
  return PackedBytes(matrix.format, matrix.rows, matrix.cols);
}

}  // namespace

ExpertReplicas::ExpertReplicas(std::vector<ReplicatedLayer> layers,
                               const ExpertCounters& counters)
    : counters_(counters) {
  for (const ReplicatedLayer& from : layers) {
    if (from.weights->replicas.empty()) continue;
    const auto nodes = static_cast<int64_t>(from.weights->replicas.size());
    const auto slots = static_cast<int64_t>(from.weights->replicas[0].size());
    Layer layer{from.layer, from.weights,
                std::vector<int64_t>(counters.experts()),
                std::vector<int64_t>(counters.experts()),
                std::vector<std::atomic<int64_t>>(nodes * slots)};
    for (auto& held : layer.held) held = -1;
    layers_.push_back(std::move(layer));
  }
}

void ExpertReplicas::BeforeStep() {
  if (layers_.empty()) return;
  if (wanted_.empty() && ++steps_ % kReviewSteps == 0) {
    for (Layer& layer : layers_) Review(layer);
  }
  if (wanted_.empty()) return;
  current_ = wanted_.front();
  wanted_.pop_front();
  std::atomic<int64_t>& held =
      Held(*current_->layer, current_->node, current_->slot);
  const int64_t old = held.exchange(-1);
  if (old < 0) return;
  FeedForwardWeights& weights = *current_->layer->weights;
  weights.copies.Remove(old, current_->node);
  const ExpertMatrices gone = MatricesOn(weights, old, current_->node);
  for (MatrixShard* shard : {gone.gate, gone.up, gone.down}) {
    shard->matrix.rows = 0;
    shard->matrix.data = nullptr;
  }
}

void ExpertReplicas::CopyPart(const WorkerContext& worker,
                              Traffic* traffic) const {
  if (!current_.has_value() || current_->node != worker.node) return;
  FeedForwardWeights& weights = *current_->layer->weights;
  const ExpertMatrices home = MatricesOn(
      weights, current_->expert, ExpertHome(current_->expert, worker.nodes));
  const ExpertRoom& room = weights.replicas[worker.node][current_->slot];
  const auto copy = [&](const MatrixShard& from, std::byte* to) {
    const WorkRange range =
        SplitEvenly(Bytes(from.matrix), worker.workers, worker.worker);
    std::memcpy(to + range.begin, from.matrix.data + range.begin, range.size());
    traffic->Add(false, range.size());
  };
  copy(*home.gate, room.gate);
  copy(*home.up, room.up);
  copy(*home.down, room.down);
}

void ExpertReplicas::AfterStep() {
  if (!current_.has_value()) return;
  FeedForwardWeights& weights = *current_->layer->weights;
  const int nodes = static_cast<int>(weights.replicas.size());
  const ExpertMatrices home = MatricesOn(weights, current_->expert,
                                         ExpertHome(current_->expert, nodes));
  const ExpertMatrices here =
      MatricesOn(weights, current_->expert, current_->node);
  const ExpertRoom& room = weights.replicas[current_->node][current_->slot];
  const auto use = [](const MatrixShard& from, std::byte* data,
                      MatrixShard* shard) {
    *shard = from;
    shard->matrix.data = data;
  };
  use(*home.gate, room.gate, here.gate);
  use(*home.up, room.up, here.up);
  use(*home.down, room.down, here.down);
  weights.copies.Add(current_->expert, current_->node);
  Held(*current_->layer, current_->node, current_->slot) = current_->expert;
  current_.reset();
}

void ExpertReplicas::Review(Layer& layer) {
  for (int64_t e = 0; e < counters_.experts(); ++e) {
    const int64_t now = counters_.tokens(layer.layer, e);
    layer.lately[e] = layer.lately[e] / 2 + (now - layer.seen[e]);
    layer.seen[e] = now;
  }
  const int nodes = static_cast<int>(layer.weights->replicas.size());
  for (int node = 0; node < nodes; ++node) Choose(layer, node);
}

void ExpertReplicas::Choose(Layer& layer, int node) {
  const int nodes = static_cast<int>(layer.weights->replicas.size());
  const int64_t slots = Slots(layer);
  std::vector<int64_t> hottest;  // that are not here, hottest last
  for (int64_t e = 0; e < counters_.experts(); ++e) {
    if (ExpertHome(e, nodes) != node && !layer.weights->copies.Has(e, node) &&
        layer.lately[e] > 0) {
      hottest.push_back(e);
    }
  }
  std::stable_sort(hottest.begin(), hottest.end(), [&](int64_t a, int64_t b) {
    return layer.lately[a] < layer.lately[b];
  });
  const auto heat = [&](int64_t slot) {
    const int64_t expert = Held(layer, node, slot);
    return expert < 0 ? -1 : layer.lately[expert];
  };
  std::vector<int64_t> coldest(slots);  // slots, coldest first
  for (int64_t s = 0; s < slots; ++s) coldest[s] = s;
  std::stable_sort(coldest.begin(), coldest.end(),
                   [&](int64_t a, int64_t b) { return heat(a) < heat(b); });
  for (const int64_t slot : coldest) {
    if (hottest.empty() ||
        !IsClearlyHotter(layer.lately[hottest.back()], heat(slot))) {
      return;
    }
    wanted_.push_back({&layer, hottest.back(), node, slot});
    hottest.pop_back();
  }
}

std::vector<int64_t> ExpertReplicas::On(int64_t layer, int node) const {
  std::vector<int64_t> experts;
  for (const Layer& l : layers_) {
    if (l.layer != layer) continue;
    const int64_t slots = Slots(l);
    for (int64_t s = 0; s < slots; ++s) {
      const int64_t expert = l.held[node * slots + s];
      if (expert >= 0) experts.push_back(expert);
    }
  }
  std::sort(experts.begin(), experts.end());
  return experts;
}

}  // namespace mlad
