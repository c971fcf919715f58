// The engine's thread: from the queue to the model and back.
#include <algorithm>
#include <chrono>
#include <utility>

#include <pthread.h>

#include "engine/step_engine.h"

namespace mlad {
namespace {

// How often deadlines of paused requests are looked at when nothing runs, and a
// request at the head of the queue tries again when it waits for pages that no
// sequence of this engine holds.
constexpr std::chrono::milliseconds kRetryInterval(10);

}  // namespace

void StepEngine::Run() {
  pthread_setname_np(pthread_self(), "mlad-engine");
  while (WaitForWork()) {
    BeginRound();
    RunErrands();
    EndStopped();
    ObeyPauses();
    BeginWaiting();
    MakeRoom();
    if (!running_.empty()) Step();
    EndRound();
  }
  EndStopped();
}

void StepEngine::BeginRound() {
  const std::lock_guard lock(mutex_);
  round_began_ = parts_.clock->Now();
}

void StepEngine::EndRound() {
  const std::lock_guard lock(mutex_);
  round_began_ = absl::InfiniteFuture();
}

bool StepEngine::WaitForWork() {
  std::unique_lock lock(mutex_);
  if (!running_.empty()) return !stopping_;
  if (!errands_.empty()) return !stopping_;
  if (blocked_ || !parked_.empty()) {
    wake_.wait_for(lock, kRetryInterval);
  } else {
    wake_.wait(lock, [this] {
      return stopping_ || !waiting_.empty() || !errands_.empty();
    });
  }
  return !stopping_;
}

void StepEngine::RunErrands() {
  const std::lock_guard lock(mutex_);
  if (errands_.empty()) return;
  for (Errand* errand : errands_) {
    errand->task(pages_);
    errand->done = true;
  }
  errands_.clear();
  CountPages();
  errand_done_.notify_all();
}

void StepEngine::EndStopped() {
  const absl::Time now = parts_.clock->Now();
  std::vector<Ended> ended;
  {
    const std::lock_guard lock(mutex_);
    const auto end_stopped = [&](auto& sequences) {
      for (SequencePtr& sequence : sequences) {
        if (stopping_ || cancelled_.contains(sequence->id())) {
          ended.push_back({std::move(sequence), Ending::kCancelled});
        } else if (now >= sequence->deadline()) {
          ended.push_back({std::move(sequence), Ending::kDeadline});
        }
      }
      std::erase(sequences, nullptr);
    };
    end_stopped(running_);
    end_stopped(parked_);
    end_stopped(waiting_.sequences());
  }
  End(std::move(ended), now);
}

void StepEngine::ObeyPauses() {
  const std::lock_guard lock(mutex_);
  for (SequencePtr& sequence : parked_) {
    if (!paused_.contains(sequence->id())) waiting_.Add(std::move(sequence));
  }
  std::erase(parked_, nullptr);
  if (paused_.empty()) return;
  const auto park = [this](std::vector<SequencePtr>& sequences) {
    for (SequencePtr& sequence : sequences) {
      if (!paused_.contains(sequence->id())) continue;
      // What is half computed is computed first.
      if (partial_.has_value() && partial_->sequence == sequence.get())
        continue;
      scheduler_.Remove(sequence.get());
      sequence->Park();
      parked_.push_back(std::move(sequence));
    }
    std::erase(sequences, nullptr);
  };
  park(running_);
  park(waiting_.sequences());
}

void StepEngine::BeginWaiting() {
  const absl::Time now = parts_.clock->Now();
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty() &&
         static_cast<int64_t>(running_.size()) < options_.max_sequences) {
    Sequence& next = waiting_.Next(running_);
    const bool is_new = !next.ever_started();
    if (next.pages().pages.empty()) {
      // Nobody overtakes, so that the first in the queue gets its turn.
      if (!BeginPages(next)) break;
      next.Start(now);
    }
    if (is_new) stats_.cached_tokens += next.cached_tokens();
    scheduler_.Add(&next);
    running_.push_back(waiting_.Take(next));
  }
  blocked_ = running_.empty() && !waiting_.empty();
  CountPages();
}

bool StepEngine::BeginPages(Sequence& sequence) {
  // Each of those that run may soon need a page.
  while (!pages_.Begin(sequence, static_cast<int64_t>(running_.size()))) {
    if (!TakeIdlePages()) return false;
  }
  return true;
}

bool StepEngine::TakeIdlePages() {
  Sequence* lowest = nullptr;
  const auto look = [&](const std::vector<SequencePtr>& sequences) {
    for (const SequencePtr& sequence : sequences) {
      if (sequence->pages().pages.empty()) continue;
      if (lowest == nullptr || Outranks(*lowest, *sequence)) {
        lowest = sequence.get();
      }
    }
  };
  look(parked_);
  look(waiting_.sequences());
  if (lowest == nullptr) return false;
  pages_.Release(*lowest);
  lowest->Suspend();
  ++stats_.preemptions;
  return true;
}

void StepEngine::MakeRoom() {
  std::vector<Sequence*> generating;
  for (const SequencePtr& sequence : running_) {
    if (!sequence->reading()) generating.push_back(sequence.get());
  }
  std::sort(
      generating.begin(), generating.end(),
      [](const Sequence* a, const Sequence* b) { return Outranks(*a, *b); });
  for (Sequence* const sequence : generating) {
    while (!sequence->pages().pages.empty() &&
           !pages_.Extend(*sequence, sequence->position() + 1)) {
      {
        const std::lock_guard lock(mutex_);
        if (TakeIdlePages()) continue;
      }
      Preempt(
          **std::max_element(running_.begin(), running_.end(),
                             [](const SequencePtr& a, const SequencePtr& b) {
                               return Outranks(*a, *b);
                             }));
    }
  }
}

void StepEngine::Preempt(Sequence& sequence) {
  if (partial_.has_value() && partial_->sequence == &sequence) partial_.reset();
  scheduler_.Remove(&sequence);
  pages_.Release(sequence);
  sequence.Suspend();
  const std::lock_guard lock(mutex_);
  waiting_.Add(TakeRunning(sequence));
  ++stats_.preemptions;
  blocked_ = running_.empty();
  CountPages();
}

StepEngine::SequencePtr StepEngine::TakeRunning(const Sequence& sequence) {
  const auto owner = std::find_if(
      running_.begin(), running_.end(),
      [&](const SequencePtr& other) { return other.get() == &sequence; });
  SequencePtr taken = std::move(*owner);
  running_.erase(owner);
  return taken;
}

void StepEngine::Step() {
  int64_t taken_over = 0;
  for (const SequencePtr& sequence : running_) {
    if (!sequence->reading()) continue;
    if (partial_.has_value() && partial_->sequence == sequence.get()) continue;
    const int64_t before = sequence->position();
    pages_.TakeOver(*sequence);
    taken_over += sequence->position() - before;
  }
  const int64_t chunk = parts_.model->prompt_chunk_tokens();
  Scheduler::Reading reading = {chunk, chunk, false};
  if (partial_.has_value()) {
    reading = {};
  } else if (budget_.bounded() && scheduler_.has_generating()) {
    reading = {budget_.expanded_rows(), budget_.absorbed_rows(),
               budget_.layers() < parts_.model->layers()};
  }
  scheduler_.PlanStep(reading);
  if (scheduler_.apart().has_value()) {
    partial_ = Partial{scheduler_.apart()->sequence, scheduler_.apart()->span};
  }
  Work work;
  if (!scheduler_.spans().empty()) RunSpans(work);
  if (partial_.has_value()) RunLayers(work);
  CountWork(work);
  {
    const std::lock_guard lock(mutex_);
    stats_.cached_tokens += taken_over;
  }
  End(std::move(work.ended), parts_.clock->Now());
}

void StepEngine::RunSpans(Work& work) {
  const absl::Span<const StepSpan> spans = scheduler_.spans();
  const absl::Span<Sequence* const> sequences = scheduler_.sequences();
  const absl::Time begin = parts_.clock->Now();
  parts_.model->Step(
      spans, [&](int span, int64_t row, absl::Span<const float> logits) {
        sequences[span]->TakeLogits(spans[span].start_position + row, logits);
      });
  const absl::Time now = parts_.clock->Now();
  work.time += now - begin;
  Learn(spans, now - begin);
  for (size_t i = 0; i < spans.size(); ++i) {
    FinishSpan(*sequences[i], spans[i], now, work);
  }
}

void StepEngine::RunLayers(Work& work) {
  const int64_t all = parts_.model->layers();
  WorkRange layers = {partial_->next_layer, all};
  if (scheduler_.has_generating()) {
    layers.end = std::min(layers.begin + budget_.layers(), all);
  }
  Sequence& sequence = *partial_->sequence;
  const StepSpan span = partial_->span;
  const absl::Time begin = parts_.clock->Now();
  parts_.model->StepLayers(
      span, layers, [&](int, int64_t row, absl::Span<const float> logits) {
        sequence.TakeLogits(span.start_position + row, logits);
      });
  const absl::Time now = parts_.clock->Now();
  work.time += now - begin;
  budget_.ObserveExpanded(static_cast<int64_t>(span.tokens.size()),
                          layers.size(), now - begin);
  partial_->next_layer = layers.end;
  if (layers.end < all) return;
  partial_.reset();
  FinishSpan(sequence, span, now, work);
}

void StepEngine::FinishSpan(Sequence& sequence, const StepSpan& span,
                            absl::Time now, Work& work) {
  const auto count = static_cast<int64_t>(span.tokens.size());
  if (sequence.reading()) work.prompt_tokens += count;
  const int64_t generated_before = sequence.generated_tokens();
  const bool complete = sequence.Advance(count, now);
  pages_.Offer(sequence);
  if (sequence.generated_tokens() > generated_before) {
    ++work.completion_tokens;
    if (generated_before == 0) {
      work.first_tokens.push_back(now - sequence.submitted());
    }
    const auto gap = sequence.TakeTokenGap(now);
    if (gap.has_value()) work.gaps.push_back(*gap);
  }
  if (complete) {
    work.requests.push_back(now - sequence.submitted());
    work.ended.push_back({TakeRunning(sequence), Ending::kComplete});
  }
}

void StepEngine::Learn(absl::Span<const StepSpan> spans, absl::Duration time) {
  int64_t generating = 0, absorbed_rows = 0, expanded_rows = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    const auto rows = static_cast<int64_t>(spans[i].tokens.size());
    if (!scheduler_.sequences()[i]->reading()) {
      ++generating;
    } else {
      (spans[i].expanded ? expanded_rows : absorbed_rows) += rows;
    }
  }
  if (absorbed_rows == 0 && expanded_rows == 0) {
    budget_.ObserveGenerating(time);
  } else if (expanded_rows == 0 && generating > 0) {
    budget_.ObserveAbsorbed(absorbed_rows, time);
  } else if (absorbed_rows == 0) {
    const absl::Duration others =
        generating > 0 ? budget_.generating_time() : absl::ZeroDuration();
    budget_.ObserveExpanded(expanded_rows, parts_.model->layers(),
                            std::max(time - others, absl::ZeroDuration()));
  }
}

void StepEngine::CountWork(const Work& work) {
  const std::lock_guard lock(mutex_);
  ++stats_.steps;
  stats_.step_time += work.time;
  stats_.prompt_tokens += work.prompt_tokens;
  stats_.completion_tokens += work.completion_tokens;
  prompt_rate_.Add(work.prompt_tokens, work.time);
  completion_rate_.Add(work.completion_tokens, work.time);
  for (const absl::Duration gap : work.gaps) {
    token_gaps_.Add(gap);
    stats_.token_gap.Add(gap);
  }
  for (const absl::Duration time : work.first_tokens) {
    stats_.first_token.Add(time);
  }
  for (const absl::Duration time : work.requests) stats_.request.Add(time);
}

void StepEngine::CountPages() {
  stats_.running = static_cast<int64_t>(running_.size());
  stats_.paused = static_cast<int64_t>(parked_.size());
  stats_.cached_pages = pages_.evictable_pages();
  stats_.evicted_pages = pages_.evictions();
}

void StepEngine::End(std::vector<Ended> ended, absl::Time now) {
  for (const Ended& one : ended) {
    scheduler_.Remove(one.sequence.get());
    if (partial_.has_value() && partial_->sequence == one.sequence.get()) {
      partial_.reset();
    }
    pages_.Release(*one.sequence);
  }
  {
    const std::lock_guard lock(mutex_);
    CountPages();
    for (const Ended& one : ended) {
      admission_.GivePlaceBack(one.sequence->client());
      if (one.sequence->ever_started() && !one.sequence->ever_parked()) {
        admission_.ObserveService(one.sequence->service_time(now));
      }
      if (one.ending == Ending::kCancelled) ++stats_.cancelled;
      if (one.ending == Ending::kDeadline) {
        ++stats_.failed;
        ++stats_.expired;
      }
    }
  }
  for (const Ended& one : ended) {
    delivery_.Post([this, id = one.sequence->id(),
                    report = one.sequence->End(one.ending, now)] {
      report();
      Forget(id);
    });
  }
}

}  // namespace mlad
