// The engine: a thread that drives the model, and the queue before it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_set.h"

#include "engine/engine.h"
#include "engine/event_delivery.h"
#include "engine/rate_meter.h"
#include "engine/request_validation.h"
#include "engine/scheduler.h"
#include "engine/sequence.h"

namespace mlad {

/// Requests wait in order of arrival until there is a place and room in the
/// cache for all they can need; from then on nothing takes it from them.
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
  void Drain(absl::Time deadline) override;
  EngineStats stats() const override;

 private:
  using SequencePtr = std::unique_ptr<Sequence>;
  struct Ended {
    SequencePtr sequence;
    Ending ending = Ending::kComplete;
  };

  // Any thread.
  /// Takes a place for a request whose validation gave `valid`.
  absl::StatusOr<Sequence::Terms> TakePlace(const absl::Status& valid);
  /// What refuses it, if anything. With mutex_.
  absl::Status CheckPlace(const absl::Status& valid) const;
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
  /// Ends what was cancelled or is past its deadline, waiting or running.
  void EndStopped();
  void Admit();
  void Step();
  void End(std::vector<Ended> ended, absl::Time now);

  const Parts parts_;
  const EngineOptions options_;
  const RequestLimits request_limits_;

  // Of the engine's thread.
  std::vector<SequencePtr> running_;
  Scheduler scheduler_;
  bool blocked_ = false;  // the cache is full, though nothing runs here

  mutable std::mutex mutex_;  // of all up to prompt_rate_
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<SequencePtr> waiting_;
  int64_t places_ = 0;                   // waiting, running and between the two
  absl::flat_hash_set<RequestId> live_;  // not yet forgotten
  absl::flat_hash_set<RequestId> cancelled_;
  RequestId next_id_ = 1;
  std::mt19937_64 seeds_;
  bool draining_ = false;
  bool stopping_ = false;
  EngineStats stats_;  // but for queued, round_time and the rates
  absl::Time round_began_ = absl::InfiniteFuture();  // infinite: idle
  RateMeter completion_rate_;
  RateMeter prompt_rate_;

  EventDelivery delivery_;  // its events use the above
  std::thread thread_;
};

}  // namespace mlad
