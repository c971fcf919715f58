// Decides what each step computes.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "engine/sequence.h"
#include "model/language_model.h"

namespace mlad {

/// Fair and simple: a step takes the next token of every generating sequence,
/// and one chunk's worth of prompt from the reading ones, in turn. Whom a limit
/// leaves out goes first in the next step.
///
/// What a sequence's tokens are computed as depends on their place in its
/// prompt only (invariant I2), so a complete chunk is never cut; when
/// generating sequences leave no room for it, the next step begins with it.
class Scheduler {
 public:
  struct Limits {
    int64_t chunk_tokens = 0;
    int64_t max_step_tokens = 0;  // at least chunk_tokens
    int64_t max_step_spans = 0;   // at least 1
  };

  explicit Scheduler(const Limits& limits);

  /// The sequence must outlive its Remove().
  void Add(Sequence* sequence);
  void Remove(Sequence* sequence);

  /// Chooses the spans of a step; at least one if there is a sequence. Both
  /// results are valid until the next call or change of a sequence.
  void PlanStep();
  absl::Span<const StepSpan> spans() const { return spans_; }
  /// sequences()[i] owns spans()[i].
  absl::Span<Sequence* const> sequences() const { return chosen_; }

 private:
  void TakeGenerating();
  /// False when the first one in turn did not fit.
  bool TakeReading();
  void Take(Sequence* sequence, const StepSpan& span);
  bool HasFreeSpan() const {
    return static_cast<int64_t>(spans_.size()) < limits_.max_step_spans;
  }

  Limits limits_;
  std::vector<Sequence*> turns_;  // who has waited longest comes first
  std::vector<Sequence*> chosen_;
  std::vector<StepSpan> spans_;
  int64_t free_tokens_ = 0;
  bool prompt_first_ = false;
};

}  // namespace mlad
