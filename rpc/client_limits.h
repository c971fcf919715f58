// What a client may ask for, applied to its requests.
#pragma once

#include "absl/status/status.h"

#include "engine/engine.h"
#include "rpc/access_control.h"

namespace mlad {

/// Puts the request on its client's terms. `max_tokens` is the daemon's own
/// limit of an answer; 0: none. Errors: kOutOfRange when it asks for more
/// tokens, context or priority than it may have; the sentence says how much
/// that is.
absl::Status ApplyClientLimits(const AccessPass& pass, int64_t max_tokens,
                               GenerationRequest& request);
absl::Status ApplyClientLimits(const AccessPass& pass, ScoreRequest& request);

}  // namespace mlad
