#include "model/transformer.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "model/stages.h"

namespace mlad {

Transformer::Transformer(Executor& executor, std::unique_ptr<StepState> state)
    : executor_(executor),
      state_(std::move(state)),
      traffic_(executor.nodes()) {
  executor_.SetProgram(MakeProgram());
}

void Transformer::Step(absl::Span<const StepSpan> spans,
                       LogitsConsumer consume) {
  Run(spans, {0, layers()}, consume);
}

void Transformer::StepLayers(const StepSpan& span, WorkRange layers,
                             LogitsConsumer consume) {
  MLAD_CHECK(span.expanded && layers.begin < layers.end);
  Run(absl::MakeConstSpan(&span, 1), layers, consume);
}

void Transformer::Run(absl::Span<const StepSpan> spans, WorkRange layers,
                      LogitsConsumer consume) {
  state_->layers = layers;
  state_->plan.Build(spans);
  state_->consume = &consume;
  ExpertReplicas* const replicas = state_->expert_replicas.get();
  if (replicas != nullptr) replicas->BeforeStep();
  executor_.RunProgram();
  if (replicas != nullptr) replicas->AfterStep();
  state_->consume = nullptr;
  PublishTraffic();
}

void Transformer::PublishTraffic() {
  size_t next = 0;
  for (int node = 0; node < executor_.nodes(); ++node) {
    Traffic sum;
    for (int w = 0; w < executor_.workers(node); ++w) {
      const Traffic& own = *state_->workers[next++].traffic;
      sum.local_bytes += own.local_bytes;
      sum.remote_bytes += own.remote_bytes;
    }
    traffic_[node].local_bytes.store(sum.local_bytes,
                                     std::memory_order_relaxed);
    traffic_[node].remote_bytes.store(sum.remote_bytes,
                                      std::memory_order_relaxed);
  }
}

Traffic Transformer::traffic(int node) const {
  Traffic result;
  result.local_bytes =
      traffic_[node].local_bytes.load(std::memory_order_relaxed);
  result.remote_bytes =
      traffic_[node].remote_bytes.load(std::memory_order_relaxed);
  return result;
}

std::vector<Stage> Transformer::MakeProgram() {
  std::vector<Stage> program;
  program.push_back(
      {"embed", [state = state_.get()](const WorkerContext& worker) {
         if (state->layers.begin == 0) {
           RunEmbed(*state, worker);
         } else {
           RunUnpark(*state, worker);
         }
         RunRotations(*state, worker);
       }});
  for (int64_t i = 0; i < state_->shape.num_hidden_layers; ++i) {
    AddLayer(i, program);
  }
  program.push_back(
      {"logits", [state = state_.get()](const WorkerContext& worker) {
         if (state->layers.end == state->shape.num_hidden_layers) {
           RunLogits(*state, worker);
         } else {
           RunPark(*state, worker);
         }
       }});
  if (state_->expert_replicas != nullptr) {
    program.push_back(
        {"replicate", [state = state_.get()](const WorkerContext& worker) {
           state->expert_replicas->CopyPart(worker, state->own(worker).traffic);
         }});
  }
  return program;
}

void Transformer::AddLayer(int64_t layer, std::vector<Stage>& program) {
  using LayerStage = void (*)(StepState&, int64_t, const WorkerContext&);
  const auto add = [&](const char* name, LayerStage run, SyncScope end) {
    program.push_back(
        {absl::StrCat(name, ".", layer),
         [state = state_.get(), layer, run](const WorkerContext& worker) {
           if (layer < state->layers.begin || layer >= state->layers.end) {
             return;
           }
           run(*state, layer, worker);
         },
         end});
  };
  // A stage that writes node copies ends for its node; one whose rows the
  // other nodes read next ends for all.
  const SyncScope kAll = SyncScope::kAllNodes, kNode = SyncScope::kOwnNode;
  add("attention_norm", RunAttentionNorm, kNode);
  add("down_projections", RunDownProjections, kAll);
  add("store_latents", RunStoreLatents, kNode);
  if (state_->shape.q_lora_rank > 0) add("queries", RunQueries, kNode);
  add("attention", RunAttention, kAll);
  add("quantize_attention", RunQuantizeAttention, kNode);
  add("attention_output", RunAttentionOutput, kAll);
  add("feed_forward_norm", RunFeedForwardNorm, kNode);
  if (!state_->weights.layers[layer].ffn.experts.empty()) {
    add("router_logits", RunRouterLogits, kAll);
    add("routing", RunRouting, kNode);
  }
  add("gate_up", RunFeedForwardGateUp, kAll);
  add("quantize_activations", RunFeedForwardQuantize, kNode);
  add("down", RunFeedForwardDown, kAll);
}

}  // namespace mlad
