// Runs the jobs that fill the nodes' weights.
#pragma once

#include <atomic>
#include <functional>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "model/weights.h"
#include "numa/executor.h"

namespace mlad {

struct PackJobOptions {
  /// May be empty; else called by one thread at a time with the share done,
  /// 0 to 1.
  std::function<void(double)> progress;
  /// No further job starts once it is true; may be null.
  const std::atomic<bool>* cancel = nullptr;
};

/// Every job runs in the arena of its node, all nodes at once.
/// Errors: kCancelled.
absl::Status RunPackJobs(absl::Span<const PackJob> jobs, Executor& executor,
                         const PackJobOptions& options);

}  // namespace mlad
