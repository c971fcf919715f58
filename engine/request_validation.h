// What the engine refuses before a request takes a place in its queue.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "engine/engine.h"

namespace mlad {

struct RequestLimits {
  int64_t vocab_size = 0;
  int64_t context_tokens = 0;  // longest sequence accepted
  int64_t cache_tokens = 0;    // longest sequence that the cache ever holds
};

/// Errors: those that Engine::Generate and Engine::Score name for a request by
/// itself, each naming the value and the remedy.
absl::Status ValidateRequest(const GenerationRequest& request,
                             const RequestLimits& limits);
absl::Status ValidateRequest(const ScoreRequest& request,
                             const RequestLimits& limits);

}  // namespace mlad
