// A language model whose logits are a hash of what it finds in the cache, and
// which checks everything that its callers promise.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"

#include "model/language_model.h"

namespace mlad {

struct FakeModelShape {
  int64_t vocab = 260;
  int64_t chunk = 8;
  int64_t step_tokens = 12;
  int64_t step_spans = 4;
  int64_t layers = 4;
};

/// What the fake cache holds of a position. The form counts: absorbed and
/// expanded rows differ in a real model's bits, too.
struct FakeRow {
  int32_t token = -1;
  bool expanded = false;
};

class FakeModel final : public LanguageModel {
 public:
  /// A script: the id that is all but certain after `tokens`, or -1.
  using Script = std::function<int32_t(absl::Span<const int32_t> tokens)>;

  explicit FakeModel(const FakeModelShape& shape, Script script = nullptr)
      : shape_(shape), script_(std::move(script)) {}

  int64_t vocab_size() const override { return shape_.vocab; }
  int64_t context_limit() const override { return 1 << 20; }
  int64_t prompt_chunk_tokens() const override { return shape_.chunk; }
  int64_t max_step_tokens() const override { return shape_.step_tokens; }
  int64_t max_step_spans() const override { return shape_.step_spans; }
  int64_t layers() const override { return shape_.layers; }
  void Step(absl::Span<const StepSpan> spans, LogitsConsumer consume) override;
  void StepLayers(const StepSpan& span, WorkRange layers,
                  LogitsConsumer consume) override;

  /// Called within each step, whose layers it computes: to let time pass. Set
  /// before the first one.
  std::function<void(absl::Span<const StepSpan>, WorkRange)> on_step;

  /// Steps wait from now on until they are allowed.
  void Hold();
  void Allow(int64_t steps);
  void Release();
  /// Waits until a step waits to be allowed.
  void AwaitStep();

  /// The rows of a sequence: the first `prompt` tokens are its prompt.
  std::vector<FakeRow> RowsOf(absl::Span<const int32_t> tokens,
                              int64_t prompt) const;
  std::vector<float> LogitsAfter(absl::Span<const FakeRow> rows) const;
  /// What greedy generation gives.
  std::vector<int32_t> Continue(std::vector<int32_t> prompt,
                                int64_t count) const;

  /// Broken promises; empty when all is well.
  std::vector<std::string> complaints() const;
  int64_t steps() const;

 private:
  void Check(bool promise, const std::string& complaint);
  void CheckSpan(const StepSpan& span);
  void AwaitPermission();
  void Compute(absl::Span<const StepSpan> spans, LogitsConsumer consume);
  FakeRow& Row(const PageTable& pages, int64_t position);

  const FakeModelShape shape_;
  const Script script_;
  std::map<std::pair<int32_t, int32_t>, std::vector<FakeRow>> cache_;
  const PageTable* partial_ = nullptr;  // has layers left
  int64_t next_layer_ = 0;

  mutable std::mutex mutex_;  // of the rest
  std::condition_variable changed_;
  std::vector<std::string> complaints_;
  bool held_ = false;
  bool waiting_ = false;  // a step, to be allowed
  int64_t allowed_ = 0;
  int64_t steps_ = 0;
};

}  // namespace mlad
