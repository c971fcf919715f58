// A few threads for what would hold up a callback: parsing and tokenizing long
// prompts, building large responses.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"

namespace mlad {

class WorkQueue {
 public:
  using Job = std::function<void()>;

  /// At most `max_waiting` jobs wait, apart from those of Continue.
  WorkQueue(int threads, int64_t max_waiting);
  /// Runs what waits, then joins the threads.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Starts something new. False, and nothing happens, when too much waits.
  [[nodiscard]] bool TryPush(Job job);
  /// What to answer a request for which TryPush had no room.
  static absl::Status FullError();
  /// Goes on with a job that was let in: never refused, next in turn.
  void Continue(Job job);

 private:
  void RunJobs();

  const int64_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable job_or_stop_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mlad
