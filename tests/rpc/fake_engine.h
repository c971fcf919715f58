// An engine without a model: it delivers a script, one event of each request in
// turn, on a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/engine.h"

namespace mlad {

/// What happens to a request. The default is an empty answer.
struct FakeScript {
  std::vector<int64_t> prompt_progress;      // tokens done, one message each
  std::vector<ScoreResult> prompt_logprobs;  // one message each
  std::vector<TokenEvent> tokens;
  bool endless = false;  // repeats the tokens until the request is cancelled
  absl::StatusOr<FinishEvent> finish = FinishEvent{};
};

class FakeEngine final : public Engine {
 public:
  using Scripter = std::function<FakeScript(const GenerationRequest&)>;
  /// `pause` between two rounds of events.
  explicit FakeEngine(absl::Duration pause = absl::Milliseconds(1));
  ~FakeEngine() override;

  /// For requests from now on.
  void SetScript(Scripter scripter);
  /// Generate and Score answer this at once unless it is OK.
  void SetRefusal(absl::Status refusal);

  absl::StatusOr<RequestId> Generate(
      GenerationRequest request,
      std::shared_ptr<GenerationObserver> observer) override;
  /// Gives every token the log-probability -0.5 and alternatives 0, 1, 2, ...
  absl::StatusOr<RequestId> Score(
      ScoreRequest request, std::shared_ptr<ScoreObserver> observer) override;
  void Cancel(RequestId id) override;
  void SetPaused(RequestId id, bool paused) override;
  /// It has no pages.
  absl::Status BetweenSteps(
      absl::FunctionRef<void(SequencePages&)> task) override;
  void Drain(absl::Time deadline) override;
  EngineStats stats() const override;

  /// The latest one that arrived.
  GenerationRequest last_request() const;
  ScoreRequest last_score_request() const;
  /// That were handed to observers, of all requests since the start.
  int64_t completion_tokens() const { return completion_tokens_; }
  /// Requests since the start that were accepted, and that were stopped by
  /// Cancel (not by Drain). Both wait until there are `count` or a generous
  /// time has passed.
  int64_t WaitForAccepted(int64_t count);
  int64_t WaitForCancelled(int64_t count);
  /// Until so many are paused, or a generous time has passed; returns how many.
  int64_t WaitForPaused(int64_t count);

 private:
  struct Active {
    std::shared_ptr<GenerationObserver> observer;  // or
    std::shared_ptr<ScoreObserver> score_observer;
    ScoreResult score;
    FakeScript script;
    size_t position = 0;  // progress messages, then tokens
    absl::Time deadline = absl::InfiniteFuture();
    bool cancelled = false;
    bool paused = false;
    int64_t prompt_tokens = 0;
    int64_t completion_tokens = 0;
  };

  void Run();
  /// Delivers one event. False: it was the last one.
  bool Step(Active& active, bool cancelled);
  static bool StepScore(Active& active, bool cancelled);
  absl::StatusOr<RequestId> Add(std::unique_ptr<Active> active);
  int64_t WaitFor(const std::function<int64_t()>& value, int64_t least);

  const absl::Duration pause_;
  std::atomic<int64_t> completion_tokens_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Scripter scripter_;
  absl::Status refusal_;
  std::map<RequestId, std::unique_ptr<Active>> active_;
  RequestId next_id_ = 1;
  GenerationRequest last_request_;
  ScoreRequest last_score_request_;
  EngineStats stats_;
  int64_t cancelled_by_client_ = 0;
  bool draining_ = false;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace mlad
