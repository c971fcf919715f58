#include "model/stages.h"
#include "moe/feed_forward.h"

namespace mlad {
namespace {

FeedForwardStep MakeStep(StepState& state, int64_t layer,
                         const WorkerContext& worker) {
  const LayerWeights& weights = state.weights.layers[layer];
  NodeBuffers& node = state.node(worker);
  WorkerBuffers& own = state.own(worker);
  const bool has_experts = !weights.ffn.experts.empty();
  FeedForwardStep step;
  step.kernels = state.kernels;
  step.weights = &weights.ffn;
  step.tokens = state.plan.tokens();
  step.input = node.hidden;
  if (has_experts) {
    step.dispatch = own.dispatch;
    step.slots = step.tokens * state.shape.num_experts_per_tok;
    step.expert_quantized = node.expert_act;
    step.expert_act = step.experts_are_whole() ? node.expert_act.f32
                                               : state.shared.expert_act;
    step.expert_out = state.expert_out;
  }
  if (!weights.ffn.always.gate.empty()) {
    step.always_act =
        has_experts ? state.shared.shared_act : state.shared.dense_act;
    step.always_quantized = has_experts ? node.shared_act : node.dense_act;
  }
  step.output = state.shared.x;
  step.scratch = own.scratch;
  step.traffic = own.traffic;
  return step;
}

}  // namespace

void RunFeedForwardNorm(StepState& state, int64_t layer,
                        const WorkerContext& worker) {
  NormRows(state, worker, state.shared.x, state.plan.tokens(),
           StepState::Copy(state.weights.layers[layer].ffn_norm, worker),
           state.node(worker).hidden);
}

void RunRouterLogits(StepState& state, int64_t layer,
                     const WorkerContext& worker) {
  const ShardedMatrix& router = state.weights.layers[layer].router;
  ShardProduct product;
  product.shard = &router.shards[worker.node];
  product.x = state.node(worker).hidden;
  product.tokens = state.plan.tokens();
  product.out = state.shared.router_logits + product.shard->row_begin;
  product.out_stride = router.rows;
  MultiplyShards(state, worker, {product});
}

void RunRouting(StepState& state, int64_t layer, const WorkerContext& worker) {
  const ReplicatedVector& bias = state.weights.layers[layer].router_bias;
  const int64_t experts = state.shape.n_routed_experts;
  const int64_t chosen = state.shape.num_experts_per_tok;
  absl::Span<const float> bias_values;
  if (!bias.copies.empty()) {
    bias_values = absl::MakeConstSpan(StepState::Copy(bias, worker), experts);
  }
  NodeBuffers& node = state.node(worker);
  const WorkRange range =
      SplitEvenly(state.plan.tokens(), worker.workers, worker.worker);
  for (int64_t t = range.begin; t < range.end; ++t) {
    RouteToken(
        state.router_shape,
        absl::MakeConstSpan(state.shared.router_logits + t * experts, experts),
        bias_values, state.own(worker).scratch, node.expert_ids + t * chosen,
        node.expert_weights + t * chosen);
  }
  state.own(worker).traffic->Add(worker.node == 0,
                                 (range.end - range.begin) * experts *
                                     static_cast<int64_t>(sizeof(float)));
}

void RunFeedForwardGateUp(StepState& state, int64_t layer,
                          const WorkerContext& worker) {
  const FeedForwardStep step = MakeStep(state, layer, worker);
  if (step.dispatch != nullptr) {
    const NodeBuffers& node = state.node(worker);
    ExpertDispatch& dispatch = *state.own(worker).dispatch;
    dispatch.Build(node.expert_ids, node.expert_weights, step.tokens);
    if (step.experts_are_whole()) {
      dispatch.AssignNodes(step.weights->copies, worker.nodes);
    }
    if (worker.global_worker == 0) {
      state.expert_counters->Add(layer, dispatch);
    }
  }
  RunGateUp(step, worker);
}

void RunFeedForwardQuantize(StepState& state, int64_t layer,
                            const WorkerContext& worker) {
  RunQuantizeActivations(MakeStep(state, layer, worker), worker);
}

void RunFeedForwardDown(StepState& state, int64_t layer,
                        const WorkerContext& worker) {
  RunDown(MakeStep(state, layer, worker), worker);
}

}  // namespace mlad
