#include "rpc/engine_request.h"

#include <chrono>

namespace mlad {

void EngineRequest::Submitted(Engine& engine, RequestId id) {
  bool cancel = false;
  {
    const std::lock_guard lock(mutex_);
    engine_ = &engine;
    id_ = id;
    cancel = cancelled_;
    if (paused_) engine.SetPaused(id, true);
  }
  if (cancel) engine.Cancel(id);
}

void EngineRequest::Cancel() {
  Engine* engine = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) return;
    cancelled_ = true;
    engine = engine_;
  }
  if (engine != nullptr) engine->Cancel(id_);
}

void EngineRequest::SetPaused(bool paused) {
  // Under the lock: of two calls the later one counts in the engine, too.
  const std::lock_guard lock(mutex_);
  paused_ = paused;
  if (engine_ != nullptr) engine_->SetPaused(id_, paused);
}

bool EngineRequest::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

absl::Time CallDeadline(const grpc::CallbackServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return absl::InfiniteFuture();
  }
  return absl::FromChrono(deadline);
}

}  // namespace mlad
