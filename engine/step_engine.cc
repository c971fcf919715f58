#include "engine/step_engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "base/retry_hint.h"
#include "base/status.h"
#include "engine/generation_sequence.h"
#include "engine/score_sequence.h"

namespace mlad {
namespace {

Scheduler::Limits LimitsOf(const LanguageModel& model) {
  return {model.prompt_chunk_tokens(), model.max_step_tokens(),
          model.max_step_spans()};
}

GenerationSequence::Bound BoundOf(const GenerationRequest& request,
                                  const RequestLimits& limits) {
  const int64_t room = std::min(limits.context_tokens, limits.cache_tokens) -
                       static_cast<int64_t>(request.prompt.size());
  int64_t most = request.max_tokens > 0 ? request.max_tokens : room + 1;
  if (request.token_limit > 0) most = std::min(most, request.token_limit);
  if (most <= room) return {most, FinishReason::kMaxTokens};
  return {room, FinishReason::kContextFull};
}

}  // namespace

StepEngine::StepEngine(const Parts& parts, const EngineOptions& options)
    : parts_(parts),
      options_(options),
      request_limits_{parts.model->vocab_size(), options.context_tokens,
                      LongestSequence(*parts.pages, options.context_tokens)},
      grammars_(*parts.tokenizer),
      grammar_worker_("mlad-grammar"),
      pages_(*parts.pages, PrefixDirectory(options.page_notes)),
      scheduler_(LimitsOf(*parts.model)),
      budget_(options.max_token_gap,
              {parts.model->prompt_chunk_tokens(), parts.model->layers()}),
      admission_(
          {options.max_sequences, options.max_queued, options.client_share}),
      seeds_(std::random_device()()),
      token_gaps_(options.max_token_gap),
      thread_([this] { Run(); }) {}

StepEngine::~StepEngine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  errand_done_.notify_all();
}

absl::StatusOr<RequestId> StepEngine::Generate(
    GenerationRequest request, std::shared_ptr<GenerationObserver> observer) {
  Sequence::Terms terms;
  terms.deadline = request.deadline;
  terms.client = request.client;
  terms.priority = request.priority;
  terms.exact_reuse_only = request.exact_reuse;
  absl::Status valid = ValidateRequest(request, request_limits_);
  absl::StatusOr<std::shared_ptr<GrammarMasks>> masks = nullptr;
  if (valid.ok()) {
    masks = grammars_.Get(request.format);
    valid = masks.status();
  }
  MLAD_RETURN_IF_ERROR(TakePlace(valid, terms));
  std::unique_ptr<TokenConstraint> constraint;
  if (*masks != nullptr) {
    constraint = std::make_unique<TokenConstraint>(*masks, grammar_worker_);
  }
  if (request.sampling.seed == 0) request.sampling.seed = ChooseSeed();
  const GenerationSequence::Bound bound = BoundOf(request, request_limits_);
  Enqueue(std::make_unique<GenerationSequence>(
      terms, std::move(request), bound, *parts_.tokenizer, std::move(observer),
      std::move(constraint)));
  return terms.id;
}

absl::StatusOr<RequestId> StepEngine::Score(
    ScoreRequest request, std::shared_ptr<ScoreObserver> observer) {
  Sequence::Terms terms;
  terms.deadline = request.deadline;
  terms.client = request.client;
  terms.priority = request.priority;
  MLAD_RETURN_IF_ERROR(
      TakePlace(ValidateRequest(request, request_limits_), terms));
  Enqueue(std::make_unique<ScoreSequence>(terms, std::move(request),
                                          std::move(observer)));
  return terms.id;
}

absl::Status StepEngine::TakePlace(const absl::Status& valid,
                                   Sequence::Terms& terms) {
  const std::lock_guard lock(mutex_);
  ++stats_.requests;
  terms.submitted = parts_.clock->Now();
  const absl::Status status = Admit(valid, terms);
  if (!status.ok()) {
    ++stats_.failed;
    if (absl::IsDeadlineExceeded(status)) ++stats_.expired;
    if (RetryHintOf(status).has_value() && absl::IsResourceExhausted(status)) {
      ++stats_.refused;
    }
    return status;
  }
  terms.id = next_id_++;
  terms.delivery = &delivery_;
  terms.chunk_tokens = parts_.model->prompt_chunk_tokens();
  live_.insert(terms.id);
  return absl::OkStatus();
}

absl::Status StepEngine::Admit(const absl::Status& valid,
                               const Sequence::Terms& terms) {
  if (draining_) {
    return absl::UnavailableError(
        "The daemon is shutting down and takes no new requests; retry with "
        "another, or when it has started again.");
  }
  if (!valid.ok()) return valid;
  return admission_.TakePlace({.client = terms.client,
                               .now = terms.submitted,
                               .deadline = terms.deadline,
                               .ahead = AheadOf(terms.priority)});
}

int64_t StepEngine::AheadOf(int priority) const {
  return admission_.places() - stats_.paused - waiting_.size() +
         waiting_.Ahead(priority);
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
    waiting_.Add(std::move(sequence));
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

void StepEngine::SetPaused(RequestId id, bool paused) {
  {
    const std::lock_guard lock(mutex_);
    if (!paused) {
      paused_.erase(id);
    } else if (live_.contains(id)) {
      paused_.insert(id);
    }
  }
  wake_.notify_one();
}

absl::Status StepEngine::BetweenSteps(
    absl::FunctionRef<void(SequencePages&)> task) {
  Errand errand{task};
  std::unique_lock lock(mutex_);
  if (!stopping_) {
    errands_.push_back(&errand);
    wake_.notify_one();
    errand_done_.wait(lock, [&] { return errand.done || stopping_; });
    std::erase(errands_, &errand);
  }
  if (errand.done) return absl::OkStatus();
  return absl::UnavailableError("The daemon is shutting down.");
}

void StepEngine::Forget(RequestId id) {
  const std::lock_guard lock(mutex_);
  live_.erase(id);
  cancelled_.erase(id);
  paused_.erase(id);
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
  stats.queued = waiting_.size();
  stats.clients = admission_.clients();
  stats.expected_wait = admission_.ExpectedWait(AheadOf(0));
  stats.max_sequences = options_.max_sequences;
  stats.max_queued = options_.max_queued;
  if (round_began_ != absl::InfiniteFuture()) {
    stats.round_time = parts_.clock->Now() - round_began_;
  }
  stats.tokens_per_s = completion_rate_.Rate();
  stats.prompt_tokens_per_s = prompt_rate_.Rate();
  stats.token_gaps = token_gaps_.gaps();
  stats.max_token_gap = options_.max_token_gap;
  stats.late_tokens = token_gaps_.late();
  return stats;
}

}  // namespace mlad
