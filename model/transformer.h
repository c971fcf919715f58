// The forward pass of deepseek2 models on the executor's workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "model/language_model.h"
#include "model/step_state.h"
#include "numa/executor.h"
#include "numa/traffic.h"

namespace mlad {

class Transformer final : public LanguageModel {
 public:
  /// `state` is complete: weights, cache and buffers are in place for the
  /// executor's nodes and workers. Makes its stages the executor's program.
  Transformer(Executor& executor, std::unique_ptr<StepState> state);

  int64_t vocab_size() const override { return state_->shape.vocab_size; }
  int64_t context_limit() const override {
    return state_->shape.max_position_embeddings;
  }
  int64_t prompt_chunk_tokens() const override {
    return state_->plan.limits().chunk_tokens;
  }
  int64_t max_step_tokens() const override {
    return state_->plan.limits().tokens;
  }
  int64_t max_step_spans() const override {
    return state_->plan.limits().spans;
  }
  void Step(absl::Span<const StepSpan> spans, LogitsConsumer consume) override;
  int64_t layers() const override { return state_->shape.num_hidden_layers; }
  void StepLayers(const StepSpan& span, WorkRange layers,
                  LogitsConsumer consume) override;

  /// Bytes that the node's workers have read in all steps so far; may be asked
  /// for at any time, on any thread.
  Traffic traffic(int node) const;

  /// Tokens that went through each expert; any thread, any time.
  const ExpertCounters& expert_counters() const {
    return *state_->expert_counters;
  }
  /// Null when there is no room for replicas.
  const ExpertReplicas* expert_replicas() const {
    return state_->expert_replicas.get();
  }

 private:
  struct TrafficTotal {
    std::atomic<int64_t> local_bytes{0};
    std::atomic<int64_t> remote_bytes{0};
  };

  void Run(absl::Span<const StepSpan> spans, WorkRange layers,
           LogitsConsumer consume);
  std::vector<Stage> MakeProgram();
  void AddLayer(int64_t layer, std::vector<Stage>& program);
  void PublishTraffic();

  Executor& executor_;
  std::unique_ptr<StepState> state_;
  std::vector<TrafficTotal> traffic_;  // [nodes]
};

}  // namespace mlad
