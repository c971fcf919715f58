// The handle by which a call stops its work in the engine.
#pragma once

#include <mutex>
#include <optional>

#include <grpcpp/server_context.h>

#include "absl/time/time.h"

#include "engine/engine.h"

namespace mlad {

/// A client may cancel before the engine has given the request its id; then it
/// is cancelled as soon as the id is known, and so for pauses. Thread-safe.
class EngineRequest {
 public:
  void Submitted(Engine& engine, RequestId id);
  void Cancel();
  void SetPaused(bool paused);
  bool cancelled() const;

 private:
  mutable std::mutex mutex_;
  Engine* engine_ = nullptr;
  RequestId id_ = 0;
  bool cancelled_ = false;
  bool paused_ = false;
};

/// The deadline that the client set, or the infinite future.
absl::Time CallDeadline(const grpc::CallbackServerContext& context);

}  // namespace mlad
