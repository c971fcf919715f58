// Runs the jobs that fill the nodes' weights.
#pragma once

#include <atomic>
#include <functional>

#include "absl/status/status.h"
#include "absl/types/span.h"

#include "model/gguf_file.h"
#include "model/weights.h"
#include "numa/executor.h"

namespace mlad {

struct PackJobOptions {
  /// The file that the jobs read: each job's part comes in before it runs. Null
  /// for sources that are no file.
  const GgufFile* file = nullptr;
  /// Lets go of the file's pages behind the jobs.
  bool drop_page_cache = false;
  /// May be empty; else called by one thread at a time with the share done,
  /// 0 to 1.
  std::function<void(double)> progress;
  /// No further job starts once it is true; may be null.
  const std::atomic<bool>* cancel = nullptr;
};

/// Every job runs in the arena of its node, all nodes at once.
/// Errors: kCancelled; those of GgufFile::ReadIn, after which no job starts.
absl::Status RunPackJobs(absl::Span<const PackJob> jobs, Executor& executor,
                         const PackJobOptions& options);

}  // namespace mlad
