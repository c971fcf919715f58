#include "rpc/work_queue.h"

#include <utility>

#include "absl/time/time.h"

#include "base/retry_hint.h"

namespace mlad {

WorkQueue::WorkQueue(int threads, int64_t max_waiting)
    : max_waiting_(max_waiting) {
  threads_.reserve(threads);
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { RunJobs(); });
  }
}

WorkQueue::~WorkQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  job_or_stop_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool WorkQueue::TryPush(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (static_cast<int64_t>(jobs_.size()) >= max_waiting_) return false;
    jobs_.push_back(std::move(job));
  }
  job_or_stop_.notify_one();
  return true;
}

absl::Status WorkQueue::FullError() {
  return BusyError("too many requests wait to be read", absl::Seconds(1));
}

void WorkQueue::Continue(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_front(std::move(job));
  }
  job_or_stop_.notify_one();
}

void WorkQueue::RunJobs() {
  std::unique_lock lock(mutex_);
  while (true) {
    job_or_stop_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it held is freed outside the lock
    lock.lock();
  }
}

}  // namespace mlad
