// Everything the stages of a step share: the model, its cache, the buffers and
// the plan of the step that is running.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "attention/absorbed.h"
#include "attention/expanded.h"
#include "attention/latent_cache.h"
#include "attention/rope.h"
#include "kernels/kernels.h"
#include "model/hyperparameters.h"
#include "model/language_model.h"
#include "model/step_buffers.h"
#include "model/step_plan.h"
#include "model/weights.h"
#include "moe/expert_counters.h"
#include "moe/expert_replicas.h"
#include "moe/router.h"
#include "numa/executor.h"

namespace mlad {

struct StepState {
  const KernelTable* kernels = nullptr;
  Hyperparameters shape;
  ModelWeights weights;
  const LatentCache* cache = nullptr;

  RopeFrequencies rope;
  AbsorbedShape absorbed_shape;
  ExpandedShape expanded_shape;
  RouterShape router_shape;

  SharedBuffers shared;
  std::vector<NodeBuffers> nodes;      // [nodes]
  std::vector<WorkRange> heads;        // [nodes]: heads that the node owns
  std::vector<WorkerBuffers> workers;  // [global workers]

  std::vector<float*> expert_out;             // [nodes]: of `nodes`
  std::vector<PartialView::OfNode> partials;  // [nodes]: of `nodes`
  std::unique_ptr<ExpertCounters> expert_counters;
  std::unique_ptr<ExpertReplicas> expert_replicas;  // null: no room for any

  StepPlan plan;
  const LogitsConsumer* consume = nullptr;  // of the running step
  WorkRange layers;                         // that the running step computes

  StepState(const RopeConfig& rope_config, const StepLimits& limits)
      : rope(rope_config), plan(limits) {}

  NodeBuffers& node(const WorkerContext& worker) { return nodes[worker.node]; }
  WorkerBuffers& own(const WorkerContext& worker) {
    return workers[worker.global_worker];
  }
  PartialView partial_view() const {
    return {partials, shape.num_attention_heads, shape.kv_lora_rank};
  }
  /// The node's copy of a vector.
  static const float* Copy(const ReplicatedVector& vector,
                           const WorkerContext& worker) {
    return vector.copies[worker.node];
  }
};

}  // namespace mlad
