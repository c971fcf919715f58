// The signals that a daemon obeys, as something to wait for.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace mlad {

enum class Signal : uint8_t {
  kNone,
  kTerminate,  // SIGTERM or SIGINT
  kReload,     // SIGHUP
};

/// Blocks them in this thread and those it starts later, and ignores SIGPIPE.
/// Call it before anything starts a thread.
void BlockSignals();

/// Waits for one of them, at most `timeout`; kNone when none came.
Signal WaitForSignal(absl::Duration timeout);

}  // namespace mlad
