// Copies of hot experts on nodes that are not their home, where experts are
// placed whole.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "moe/expert_counters.h"
#include "moe/feed_forward.h"
#include "numa/executor.h"
#include "numa/traffic.h"

namespace mlad {

/// A layer's experts as the replicas see them.
struct ReplicatedLayer {
  int64_t layer = 0;  // of the counters
  FeedForwardWeights* weights = nullptr;
};

/// Every node has room for some replicas per layer, and keeps there the experts
/// of other nodes that were chosen most lately. Which copy of an expert
/// computes does not change its bits. One copy is made at a time, by the
/// node's workers at the end of a step, so a change of what is hot costs a step
/// little.
class ExpertReplicas {
 public:
  /// Steps between two looks at the counters.
  static constexpr int64_t kReviewSteps = 64;

  /// The weights and counters outlive this; layers without room for replicas
  /// (FeedForwardWeights::replicas) are left alone.
  ExpertReplicas(std::vector<ReplicatedLayer> layers,
                 const ExpertCounters& counters);

  /// Before a step, no worker running: takes out of use what the copy that is
  /// next overwrites.
  void BeforeStep();
  /// In the step, called by every worker: its part of the copy, if any.
  void CopyPart(const WorkerContext& worker, Traffic* traffic) const;
  /// After the step: puts the copy into use.
  void AfterStep();

  /// Experts with a replica on the node, ascending; any thread, any time.
  std::vector<int64_t> On(int64_t layer, int node) const;

 private:
  struct Layer {
    int64_t layer;
    FeedForwardWeights* weights;
    std::vector<int64_t> seen;    // [experts]: the counters at the last review
    std::vector<int64_t> lately;  // [experts]: halved at each review
    // [nodes, slots]: the expert that is there, -1 for none
    std::vector<std::atomic<int64_t>> held;
  };
  struct Copy {
    Layer* layer;
    int64_t expert;
    int node;
    int64_t slot;
  };

  static int64_t Slots(const Layer& layer) {
    return static_cast<int64_t>(layer.weights->replicas[0].size());
  }
  static std::atomic<int64_t>& Held(Layer& layer, int node, int64_t slot) {
    return layer.held[node * Slots(layer) + slot];
  }
  void Review(Layer& layer);
  void Choose(Layer& layer, int node);

  const ExpertCounters& counters_;
  std::vector<Layer> layers_;
  std::deque<Copy> wanted_;
  std::optional<Copy> current_;
  int64_t steps_ = 0;
};

}  // namespace mlad
