// Exit statuses that scripts can tell apart.
#pragma once

#include "absl/status/status.h"

namespace mlad {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;       // what has no status of its own
inline constexpr int kExitUsage = 2;        // command line or request refused
inline constexpr int kExitUnavailable = 3;  // not reachable, loading, draining
inline constexpr int kExitBusy = 4;         // queue or cache is full
inline constexpr int kExitTimeout = 5;
inline constexpr int kExitInterrupted = 130;  // as shells report Ctrl-C

int ExitStatus(const absl::Status& status);

/// Prints "mla-ctl: sentence" to stderr unless OK; returns ExitStatus(status).
int ReportStatus(const absl::Status& status);

}  // namespace mlad
