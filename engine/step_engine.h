// The engine: a thread that drives the model, and the queue before it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"

#include "engine/admission_control.h"
#include "engine/engine.h"
#include "engine/event_delivery.h"
#include "engine/gap_budget.h"
#include "engine/grammar_store.h"
#include "engine/rate_meter.h"
#include "engine/request_validation.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"
#include "engine/sequence_pages.h"
#include "engine/token_gaps.h"
#include "engine/waiting_queue.h"

namespace mlad {

/// Requests wait in a WaitingQueue until there is a place and room in the cache
/// for their prompt. When the cache gets too small for what is running, the
/// youngest of the lowest priority gives its pages back, waits, and begins
/// again where it was. Before that, those give theirs that hold them without
/// being computed, because their client does not read.
class StepEngine final : public Engine {
 public:
  struct Parts {
    LanguageModel* model = nullptr;
    const Tokenizer* tokenizer = nullptr;
    PageAllocator* pages = nullptr;
    const Clock* clock = nullptr;
  };
  StepEngine(const Parts& parts, const EngineOptions& options);
  ~StepEngine() override;

  absl::StatusOr<RequestId> Generate(
      GenerationRequest request,
      std::shared_ptr<GenerationObserver> observer) override;
  absl::StatusOr<RequestId> Score(
      ScoreRequest request, std::shared_ptr<ScoreObserver> observer) override;
  void Cancel(RequestId id) override;
  void SetPaused(RequestId id, bool paused) override;
  absl::Status BetweenSteps(
      absl::FunctionRef<void(SequencePages&)> task) override;
  void Drain(absl::Time deadline) override;
  EngineStats stats() const override;

 private:
  using SequencePtr = std::unique_ptr<Sequence>;
  struct Ended {
    SequencePtr sequence;
    Ending ending = Ending::kComplete;
  };
  /// A span whose layers are computed one step after the other.
  struct Partial {
    Sequence* sequence = nullptr;
    StepSpan span;
    int64_t next_layer = 0;
  };
  /// What somebody waits for to be done between two steps.
  struct Errand {
    absl::FunctionRef<void(SequencePages&)> task;
    bool done = false;
  };
  /// What steps have done since the statistics were told.
  struct Work {
    int64_t prompt_tokens = 0;
    int64_t completion_tokens = 0;
    absl::Duration time;
    std::vector<absl::Duration> gaps;  // between tokens
    // Since the arrival of requests that got their first token, or are done.
    std::vector<absl::Duration> first_tokens, requests;
    std::vector<Ended> ended;
  };

  // Any thread.
  /// Takes a place on the terms of a request whose validation gave `valid`;
  /// fills in the rest of them.
  absl::Status TakePlace(const absl::Status& valid, Sequence::Terms& terms);
  /// As TakePlace, without counting. With mutex_.
  absl::Status Admit(const absl::Status& valid, const Sequence::Terms& terms);
  /// Requests that run, or wait and go before a newcomer. With mutex_.
  int64_t AheadOf(int priority) const;
  uint64_t ChooseSeed();
  void Enqueue(SequencePtr sequence);
  /// After the observer has had its last event.
  void Forget(RequestId id);

  // The engine's thread.
  void Run();
  /// False when the engine is being destroyed.
  bool WaitForWork();
  /// The engine's sign of life.
  void BeginRound();
  void EndRound();
  void RunErrands();
  /// Ends what was cancelled or is past its deadline, wherever it is.
  void EndStopped();
  /// Parks what is paused; lets wait what is not any more.
  void ObeyPauses();
  void BeginWaiting();
  /// Pages for the next token of every generating sequence.
  void MakeRoom();
  void Preempt(Sequence& sequence);
  /// Pages for a sequence that has its turn; false when it has to wait.
  bool BeginPages(Sequence& sequence);  // with mutex_
  /// Takes the pages of the lowest one in rank that holds any without running.
  bool TakeIdlePages();  // with mutex_
  void Step();
  void RunSpans(Work& work);
  void RunLayers(Work& work);
  /// After a step: the span is in the cache.
  void FinishSpan(Sequence& sequence, const StepSpan& span, absl::Time now,
                  Work& work);
  void Learn(absl::Span<const StepSpan> spans, absl::Duration time);
  void CountWork(const Work& work);
  /// What `stats_` tells of the cache; with mutex_.
  void CountPages();
  SequencePtr TakeRunning(const Sequence& sequence);
  void End(std::vector<Ended> ended, absl::Time now);

  const Parts parts_;
  const EngineOptions options_;
  const RequestLimits request_limits_;
  GrammarStore grammars_;
  EventDelivery grammar_worker_;

  // Of the engine's thread.
  std::vector<SequencePtr> running_;
  std::vector<SequencePtr> parked_;  // paused; some still have their pages
  SequencePages pages_;
  Scheduler scheduler_;
  GapBudget budget_;
  std::optional<Partial> partial_;
  bool blocked_ = false;  // the cache is full, though nothing runs here

  mutable std::mutex mutex_;  // of all up to token_gaps_
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::condition_variable errand_done_;
  std::vector<Errand*> errands_;
  WaitingQueue waiting_;
  AdmissionControl admission_;           // of what waits, runs or is in between
  absl::flat_hash_set<RequestId> live_;  // not yet forgotten
  absl::flat_hash_set<RequestId> cancelled_;
  absl::flat_hash_set<RequestId> paused_;
  RequestId next_id_ = 1;
  std::mt19937_64 seeds_;
  bool draining_ = false;
  bool stopping_ = false;
  EngineStats stats_;  // but for queued, round_time and the rates
  absl::Time round_began_ = absl::InfiniteFuture();  // infinite: idle
  RateMeter completion_rate_;
  RateMeter prompt_rate_;
  TokenGapMeter token_gaps_;

  EventDelivery delivery_;  // its events use the above
  std::thread thread_;
};

}  // namespace mlad
