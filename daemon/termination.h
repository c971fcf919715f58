// SIGTERM and SIGINT as something to wait for.
#pragma once

#include "absl/time/time.h"

namespace mlad {

/// Blocks SIGTERM and SIGINT in this thread and those it starts later, and
/// ignores SIGPIPE. Call it before anything starts a thread.
void BlockTerminationSignals();

/// Waits for one of them, at most `timeout`; false when none came.
bool WaitForTerminationSignal(absl::Duration timeout);

}  // namespace mlad
