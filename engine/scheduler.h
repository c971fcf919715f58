// Decides what each step computes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

#include "engine/sequence.h"
#include "model/language_model.h"

namespace mlad {

/// Fair and simple: a step takes the next token of every generating sequence,
/// and some of what the others have to read, in turn. Whom a limit leaves out
/// goes first in the next step.
class Scheduler {
 public:
  struct Limits {
    int64_t chunk_tokens = 0;
    int64_t max_step_tokens = 0;  // at least chunk_tokens
    int64_t max_step_spans = 0;   // at least 1
  };

  /// How much may be read in a step: rows of one form if there are no others,
  /// of both in proportion. At most chunk_tokens, at least 1; or 0: nothing.
  struct Reading {
    int64_t expanded_rows = 0;
    int64_t absorbed_rows = 0;
    /// A span in the expanded form is not a part of the step.
    bool expanded_apart = false;
  };

  explicit Scheduler(const Limits& limits);

  /// The sequence must outlive its Remove().
  void Add(Sequence* sequence);
  void Remove(Sequence* sequence);
  bool has_generating() const;

  /// Chooses the spans of a step; at least one if there is a sequence and
  /// something may be read. Results are valid until the next call or change of
  /// a sequence.
  void PlanStep(const Reading& reading);
  absl::Span<const StepSpan> spans() const { return spans_; }
  /// sequences()[i] owns spans()[i].
  absl::Span<Sequence* const> sequences() const { return chosen_; }

  /// What is to be computed by itself.
  struct Apart {
    Sequence* sequence = nullptr;
    StepSpan span;
  };
  const std::optional<Apart>& apart() const { return apart_; }

 private:
  void TakeGenerating();
  /// False when the first one in turn did not fit.
  bool TakeReading(const Reading& reading);
  void Take(Sequence* sequence, const StepSpan& span);
  bool HasFreeSpan() const {
    return static_cast<int64_t>(spans_.size()) < limits_.max_step_spans;
  }

  Limits limits_;
  std::vector<Sequence*> turns_;  // who has waited longest comes first
  std::vector<Sequence*> chosen_;
  std::vector<StepSpan> spans_;
  std::optional<Apart> apart_;
  int64_t free_tokens_ = 0;
  bool reading_first_ = false;
};

}  // namespace mlad
