#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace mlad {

Scheduler::Scheduler(const Limits& limits) : limits_(limits) {
  MLAD_CHECK(limits.chunk_tokens >= 1);
  MLAD_CHECK(limits.max_step_tokens >= limits.chunk_tokens);
  MLAD_CHECK(limits.max_step_spans >= 1);
}

void Scheduler::Add(Sequence* sequence) { turns_.push_back(sequence); }

void Scheduler::Remove(Sequence* sequence) { std::erase(turns_, sequence); }

bool Scheduler::has_generating() const {
  return std::any_of(turns_.begin(), turns_.end(),
                     [](const Sequence* s) { return !s->reading(); });
}

void Scheduler::PlanStep(const Reading& reading) {
  chosen_.clear();
  spans_.clear();
  apart_.reset();
  free_tokens_ = limits_.max_step_tokens;
  if (reading_first_) {
    TakeReading(reading);
    TakeGenerating();
    reading_first_ = false;
  } else {
    TakeGenerating();
    reading_first_ = !TakeReading(reading);
  }
  const auto to_the_end = [this](Sequence* sequence) {
    std::erase(turns_, sequence);
    turns_.push_back(sequence);
  };
  for (Sequence* sequence : chosen_) to_the_end(sequence);
  if (apart_.has_value()) to_the_end(apart_->sequence);
}

void Scheduler::TakeGenerating() {
  for (Sequence* sequence : turns_) {
    if (sequence->reading()) continue;
    if (!HasFreeSpan() || free_tokens_ == 0) return;
    Take(sequence, sequence->NextSpan(1));
  }
}

bool Scheduler::TakeReading(const Reading& reading) {
  double room = 1;  // share of what may be read that is left
  bool is_first = true;
  for (Sequence* sequence : turns_) {
    if (!sequence->reading()) continue;
    const bool expanded = sequence->next_is_expanded();
    const int64_t most =
        expanded ? reading.expanded_rows : reading.absorbed_rows;
    if (most == 0) return true;
    const bool is_apart = expanded && reading.expanded_apart;
    if (!is_apart && (!HasFreeSpan() || free_tokens_ == 0)) return !is_first;
    // Rounded, so that shares do not add up to a row less.
    auto limit = static_cast<int64_t>(room * static_cast<double>(most) + 0.5);
    if (!is_apart) limit = std::min(limit, free_tokens_);
    if (limit == 0) return true;
    const StepSpan span = sequence->NextSpan(limit);
    // A piece of a chunk costs more than its share of the chunk.
    const bool is_cut =
        span.tokens.size() < sequence->NextSpan(most).tokens.size();
    if (expanded && !is_first && is_cut) return true;
    if (is_apart) {
      apart_ = Apart{sequence, span};
      return true;
    }
    Take(sequence, span);
    room -= static_cast<double>(span.tokens.size()) / static_cast<double>(most);
    is_first = false;
  }
  return true;
}

void Scheduler::Take(Sequence* sequence, const StepSpan& span) {
  chosen_.push_back(sequence);
  spans_.push_back(span);
  free_tokens_ -= static_cast<int64_t>(span.tokens.size());
}

}  // namespace mlad
