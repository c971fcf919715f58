#include "tests/rpc/fake_engine.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/sequence_pages.h"

namespace mlad {
namespace {

// Until a test gives up on something that should happen at once.
constexpr std::chrono::seconds kPatience{20};

}  // namespace

FakeEngine::FakeEngine(absl::Duration pause)
    : pause_(pause), thread_([this] { Run(); }) {}

FakeEngine::~FakeEngine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FakeEngine::SetScript(Scripter scripter) {
  const std::lock_guard lock(mutex_);
  scripter_ = std::move(scripter);
}

void FakeEngine::SetRefusal(absl::Status refusal) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(refusal);
}

absl::StatusOr<RequestId> FakeEngine::Add(std::unique_ptr<Active> active) {
  if (!refusal_.ok()) return refusal_;
  if (draining_) return absl::UnavailableError("the fake engine is draining");
  const RequestId id = next_id_++;
  active_[id] = std::move(active);
  ++stats_.requests;
  changed_.notify_all();
  return id;
}

absl::StatusOr<RequestId> FakeEngine::Generate(
    GenerationRequest request, std::shared_ptr<GenerationObserver> observer) {
  const std::lock_guard lock(mutex_);
  auto active = std::make_unique<Active>();
  active->observer = std::move(observer);
  active->deadline = request.deadline;
  active->prompt_tokens = static_cast<int64_t>(request.prompt.size());
  if (scripter_) active->script = scripter_(request);
  last_request_ = std::move(request);
  return Add(std::move(active));
}

absl::StatusOr<RequestId> FakeEngine::Score(
    ScoreRequest request, std::shared_ptr<ScoreObserver> observer) {
  const std::lock_guard lock(mutex_);
  auto active = std::make_unique<Active>();
  active->score_observer = std::move(observer);
  active->deadline = request.deadline;
  active->score.logprobs.assign(request.tokens.size() - 1, -0.5f);
  if (request.top_logprobs > 0) {
    std::vector<TokenLogprob> top;
    for (int32_t i = 0; i < request.top_logprobs; ++i) {
      top.push_back({.id = i, .logprob = -static_cast<float>(i + 1)});
    }
    active->score.top.assign(request.tokens.size() - 1, top);
  }
  last_score_request_ = std::move(request);
  return Add(std::move(active));
}

void FakeEngine::Cancel(RequestId id) {
  const std::lock_guard lock(mutex_);
  const auto found = active_.find(id);
  if (found == active_.end() || found->second->cancelled) return;
  found->second->cancelled = true;
  ++cancelled_by_client_;
  changed_.notify_all();
}

void FakeEngine::SetPaused(RequestId id, bool paused) {
  const std::lock_guard lock(mutex_);
  const auto found = active_.find(id);
  if (found != active_.end()) found->second->paused = paused;
  changed_.notify_all();
}

int64_t FakeEngine::WaitForPaused(int64_t count) {
  return WaitFor(
      [this] {
        return std::count_if(
            active_.begin(), active_.end(),
            [](const auto& active) { return active.second->paused; });
      },
      count);
}

absl::Status FakeEngine::BetweenSteps(
    absl::FunctionRef<void(SequencePages&)> /*task*/) {
  return absl::UnavailableError("a fake engine has no pages");
}

void FakeEngine::Drain(absl::Time deadline) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  while (!active_.empty()) {
    if (absl::Now() >= deadline) {
      for (auto& [id, active] : active_) active->cancelled = true;
    }
    changed_.wait_for(lock, std::chrono::milliseconds(5));
  }
}

EngineStats FakeEngine::stats() const {
  const std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.running = static_cast<int64_t>(active_.size());
  return stats;
}

GenerationRequest FakeEngine::last_request() const {
  const std::lock_guard lock(mutex_);
  return last_request_;
}

ScoreRequest FakeEngine::last_score_request() const {
  const std::lock_guard lock(mutex_);
  return last_score_request_;
}

int64_t FakeEngine::WaitFor(const std::function<int64_t()>& value,
                            int64_t least) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] { return value() >= least; });
  return value();
}

int64_t FakeEngine::WaitForCancelled(int64_t count) {
  return WaitFor([this] { return cancelled_by_client_; }, count);
}

int64_t FakeEngine::WaitForAccepted(int64_t count) {
  return WaitFor([this] { return stats_.requests; }, count);
}

bool FakeEngine::StepScore(Active& active, bool cancelled) {
  if (cancelled) {
    active.score_observer->OnFinish(absl::CancelledError("cancelled"));
  } else {
    active.score_observer->OnFinish(active.score);
  }
  return false;
}

bool FakeEngine::Step(Active& active, bool cancelled) {
  if (active.score_observer != nullptr) return StepScore(active, cancelled);
  const FakeScript& script = active.script;
  const bool late = absl::Now() >= active.deadline;
  const size_t token = active.position - script.prompt_progress.size();
  if (!cancelled && !late && active.position < script.prompt_progress.size()) {
    active.observer->OnPromptProgress(script.prompt_progress[active.position++],
                                      active.prompt_tokens);
    return true;
  }
  if (!cancelled && !late) {
    int64_t first = 1;
    for (const ScoreResult& scores :
         std::exchange(active.script.prompt_logprobs, {})) {
      active.observer->OnPromptLogprobs(first, scores);
      first += static_cast<int64_t>(scores.logprobs.size());
    }
  }
  if (!cancelled && !late && token < script.tokens.size()) {
    active.observer->OnToken(script.tokens[token]);
    ++active.completion_tokens;
    ++completion_tokens_;
    ++active.position;
    if (script.endless && token + 1 == script.tokens.size()) {
      active.position = script.prompt_progress.size();
    }
    return true;
  }
  if (!cancelled && !late && script.endless) return true;
  absl::StatusOr<FinishEvent> finish = script.finish;
  if (finish.ok()) {
    if (cancelled) finish->reason = FinishReason::kCancelled;
    if (late && !cancelled) finish->reason = FinishReason::kDeadline;
    finish->usage.prompt_tokens = active.prompt_tokens;
    finish->usage.completion_tokens = active.completion_tokens;
  }
  active.observer->OnFinish(finish);
  return false;
}

void FakeEngine::Run() {
  struct Turn {
    RequestId id;
    Active* active;
    bool cancelled;
  };
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !active_.empty(); });
    if (active_.empty()) return;
    std::vector<Turn> turns;
    for (auto& [id, active] : active_) {
      const bool cancelled = active->cancelled || stopping_;
      if (active->paused && !cancelled) continue;
      turns.push_back({id, active.get(), cancelled});
    }
    if (turns.empty()) {
      changed_.wait_for(lock, std::chrono::milliseconds(1));
      continue;
    }
    lock.unlock();
    std::vector<RequestId> finished;
    for (const Turn& turn : turns) {
      if (!Step(*turn.active, turn.cancelled)) finished.push_back(turn.id);
    }
    absl::SleepFor(pause_);
    lock.lock();
    for (const RequestId id : finished) active_.erase(id);
    changed_.notify_all();
  }
}

}  // namespace mlad
