#include "engine/step_engine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <pthread.h>

#include "absl/strings/str_cat.h"

#include "base/check.h"
#include "base/status.h"
#include "engine/generation_sequence.h"
#include "engine/page_reservation.h"
#include "engine/score_sequence.h"

namespace mlad {
namespace {

// How often a request at the head of the queue tries again when it waits for
// pages that no sequence of this engine holds.
constexpr std::chrono::milliseconds kRetryInterval(10);

Scheduler::Limits LimitsOf(const LanguageModel& model) {
  return {model.prompt_chunk_tokens(), model.max_step_tokens(),
          model.max_step_spans()};
}

GenerationSequence::Bound BoundOf(const GenerationRequest& request,
                                  const RequestLimits& limits) {
  const int64_t room = std::min(limits.context_tokens, limits.cache_tokens) -
                       static_cast<int64_t>(request.prompt.size());
  if (request.max_tokens > 0 && request.max_tokens <= room) {
    return {request.max_tokens, FinishReason::kMaxTokens};
  }
  return {room, FinishReason::kContextFull};
}

}  // namespace

StepEngine::StepEngine(const Parts& parts, const EngineOptions& options)
    : parts_(parts),
      options_(options),
      request_limits_{parts.model->vocab_size(), options.context_tokens,
                      LongestSequence(*parts.pages, options.context_tokens)},
      scheduler_(LimitsOf(*parts.model)),
      seeds_(std::random_device()()),
      thread_([this] { Run(); }) {}

StepEngine::~StepEngine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

absl::StatusOr<RequestId> StepEngine::Generate(
    GenerationRequest request, std::shared_ptr<GenerationObserver> observer) {
  MLAD_ASSIGN_OR_RETURN(Sequence::Terms terms,
                        TakePlace(ValidateRequest(request, request_limits_)));
  if (request.sampling.seed == 0) request.sampling.seed = ChooseSeed();
  const GenerationSequence::Bound bound = BoundOf(request, request_limits_);
  terms.deadline = request.deadline;
  terms.max_cached_tokens =
      static_cast<int64_t>(request.prompt.size()) + bound.tokens;
  Enqueue(std::make_unique<GenerationSequence>(terms, std::move(request), bound,
                                               *parts_.tokenizer,
                                               std::move(observer)));
  return terms.id;
}

absl::StatusOr<RequestId> StepEngine::Score(
    ScoreRequest request, std::shared_ptr<ScoreObserver> observer) {
  MLAD_ASSIGN_OR_RETURN(Sequence::Terms terms,
                        TakePlace(ValidateRequest(request, request_limits_)));
  terms.deadline = request.deadline;
  terms.max_cached_tokens = static_cast<int64_t>(request.tokens.size()) - 1;
  Enqueue(std::make_unique<ScoreSequence>(terms, std::move(request),
                                          std::move(observer)));
  return terms.id;
}

absl::StatusOr<Sequence::Terms> StepEngine::TakePlace(
    const absl::Status& valid) {
  const std::lock_guard lock(mutex_);
  ++stats_.requests;
  const absl::Status status = CheckPlace(valid);
  if (!status.ok()) {
    ++stats_.failed;
    return status;
  }
  Sequence::Terms terms;
  terms.id = next_id_++;
  terms.submitted = parts_.clock->Now();
  terms.delivery = &delivery_;
  ++places_;
  live_.insert(terms.id);
  return terms;
}

absl::Status StepEngine::CheckPlace(const absl::Status& valid) const {
  if (draining_) {
    return absl::UnavailableError(
        "The daemon is shutting down and takes no new requests; retry with "
        "another, or when it has started again.");
  }
  if (!valid.ok()) return valid;
  if (places_ >= options_.max_sequences + options_.max_queued) {
    return absl::ResourceExhaustedError(
        absl::StrCat("The queue is full with ", options_.max_queued,
                     " requests waiting; retry later."));
  }
  return absl::OkStatus();
}

uint64_t StepEngine::ChooseSeed() {
  const std::lock_guard lock(mutex_);
  uint64_t seed = 0;
  while (seed == 0) seed = seeds_();
  return seed;
}

void StepEngine::Enqueue(SequencePtr sequence) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(sequence));
  }
  wake_.notify_one();
}

void StepEngine::Cancel(RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    if (live_.contains(id)) cancelled_.insert(id);
  }
  wake_.notify_one();
}

void StepEngine::Forget(RequestId id) {
  const std::lock_guard lock(mutex_);
  live_.erase(id);
  cancelled_.erase(id);
  if (live_.empty()) idle_.notify_all();
}

void StepEngine::Drain(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  const auto is_idle = [this] { return live_.empty(); };
  if (deadline == absl::InfiniteFuture()) {
    idle_.wait(lock, is_idle);
  } else if (!idle_.wait_until(lock, absl::ToChronoTime(deadline), is_idle)) {
    cancelled_ = live_;
    wake_.notify_one();
    idle_.wait(lock, is_idle);
  }
}

EngineStats StepEngine::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.queued = static_cast<int64_t>(waiting_.size());
  if (round_began_ != absl::InfiniteFuture()) {
    stats.round_time = parts_.clock->Now() - round_began_;
  }
  stats.tokens_per_s = completion_rate_.Rate();
  stats.prompt_tokens_per_s = prompt_rate_.Rate();
  return stats;
}

void StepEngine::Run() {
  pthread_setname_np(pthread_self(), "mlad-engine");
  while (WaitForWork()) {
    BeginRound();
    EndStopped();
    Admit();
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
  if (blocked_) {
    wake_.wait_for(lock, kRetryInterval);
  } else {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  }
  return !stopping_;
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
    end_stopped(waiting_);
  }
  End(std::move(ended), now);
}

void StepEngine::Admit() {
  const absl::Time now = parts_.clock->Now();
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty() &&
         static_cast<int64_t>(running_.size()) < options_.max_sequences) {
    Sequence& next = *waiting_.front();
    if (!ReservePages(*parts_.pages, next.max_cached_tokens(), next.pages())) {
      break;  // nobody overtakes, so the first in the queue gets its turn
    }
    next.Start(now);
    scheduler_.Add(&next);
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  blocked_ = running_.empty() && !waiting_.empty();
  stats_.running = static_cast<int64_t>(running_.size());
}

void StepEngine::Step() {
  scheduler_.PlanStep();
  const absl::Span<const StepSpan> spans = scheduler_.spans();
  const absl::Span<Sequence* const> sequences = scheduler_.sequences();
  const absl::Time begin = parts_.clock->Now();
  parts_.model->Step(
      spans, [&](int span, int64_t row, absl::Span<const float> logits) {
        sequences[span]->TakeLogits(spans[span].start_position + row, logits);
      });
  const absl::Time now = parts_.clock->Now();

  std::vector<Ended> ended;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    Sequence& sequence = *sequences[i];
    const int64_t count = static_cast<int64_t>(spans[i].tokens.size());
    if (sequence.reading_prompt()) prompt_tokens += count;
    const int64_t generated_before = sequence.generated_tokens();
    const bool complete = sequence.Advance(count, now);
    completion_tokens += sequence.generated_tokens() - generated_before;
    if (!complete) continue;
    const auto owner = std::find_if(
        running_.begin(), running_.end(),
        [&](const SequencePtr& other) { return other.get() == &sequence; });
    ended.push_back({std::move(*owner), Ending::kComplete});
    running_.erase(owner);
  }
  {
    const std::lock_guard lock(mutex_);
    ++stats_.steps;
    stats_.step_time += now - begin;
    stats_.prompt_tokens += prompt_tokens;
    stats_.completion_tokens += completion_tokens;
    prompt_rate_.Add(prompt_tokens, now - begin);
    completion_rate_.Add(completion_tokens, now - begin);
  }
  End(std::move(ended), now);
}

void StepEngine::End(std::vector<Ended> ended, absl::Time now) {
  for (const Ended& one : ended) {
    scheduler_.Remove(one.sequence.get());
    parts_.pages->Release(one.sequence->pages());
  }
  {
    const std::lock_guard lock(mutex_);
    places_ -= static_cast<int64_t>(ended.size());
    stats_.running = static_cast<int64_t>(running_.size());
    for (const Ended& one : ended) {
      if (one.ending == Ending::kCancelled) ++stats_.cancelled;
      if (one.ending == Ending::kDeadline) ++stats_.failed;
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
