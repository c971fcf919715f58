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

void Scheduler::PlanStep() {
  chosen_.clear();
  spans_.clear();
  free_tokens_ = limits_.max_step_tokens;
  if (prompt_first_) {
    TakeReading();
    TakeGenerating();
    prompt_first_ = false;
  } else {
    TakeGenerating();
    prompt_first_ = !TakeReading();
  }
  MLAD_CHECK(!spans_.empty() || turns_.empty());
  for (Sequence* sequence : chosen_) {
    std::erase(turns_, sequence);
    turns_.push_back(sequence);
  }
}

void Scheduler::TakeGenerating() {
  for (Sequence* sequence : turns_) {
    if (sequence->reading_prompt()) continue;
    if (!HasFreeSpan() || free_tokens_ == 0) return;
    Take(sequence, sequence->NextSpan(limits_.chunk_tokens, 1));
  }
}

bool Scheduler::TakeReading() {
  int64_t budget = limits_.chunk_tokens;
  bool is_first = true;
  for (Sequence* sequence : turns_) {
    if (!sequence->reading_prompt()) continue;
    const int64_t limit = HasFreeSpan() ? std::min(budget, free_tokens_) : 0;
    const StepSpan span = sequence->NextSpan(limits_.chunk_tokens, limit);
    if (span.tokens.empty()) return !is_first;
    Take(sequence, span);
    budget -= static_cast<int64_t>(span.tokens.size());
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
