#include "model/pack_jobs.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace mlad {
namespace {

int64_t SourceBytes(const PackJob& job) {
  return job.kind == PackJob::Kind::kCopyBytes
             ? job.rows * job.cols
             : TensorRowBytes(job.type, job.rows * job.cols);
}

class ProgressMeter {
 public:
  ProgressMeter(absl::Span<const PackJob> jobs,
                const std::function<void(double)>& report)
      : report_(report) {
    for (const PackJob& job : jobs) total_bytes_ += SourceBytes(job);
  }

  void Add(const PackJob& job) {
    if (!report_) return;
    std::lock_guard lock(mutex_);
    done_bytes_ += SourceBytes(job);
    report_(static_cast<double>(done_bytes_) /
            static_cast<double>(std::max<int64_t>(total_bytes_, 1)));
  }

 private:
  const std::function<void(double)>& report_;
  std::mutex mutex_;
  int64_t total_bytes_ = 0;
  int64_t done_bytes_ = 0;
};

/// Reads, packs and lets go; remembers the first thing that went wrong.
class JobRunner {
 public:
  JobRunner(absl::Span<const PackJob> jobs, const PackJobOptions& options)
      : options_(options), meter_(jobs, options.progress) {
    // What a download or a copy has left: in large pieces, which the kernel
    // gives back whole only.
    DropAll();
  }

  void Run(const PackJob& job) {
    if (failed_ || cancelled()) return;
    const auto source = absl::MakeConstSpan(job.source, SourceBytes(job));
    if (options_.file != nullptr) {
      absl::Status status = options_.file->ReadIn(source);
      if (!status.ok()) return Fail(std::move(status));
    }
    RunPackJob(job);
    if (options_.file != nullptr && options_.drop_page_cache) {
      options_.file->DropPageCache(source);
    }
    meter_.Add(job);
  }

  /// When no job runs any more.
  absl::Status Finish() {
    DropAll();  // jobs that end within a page have left it
    if (failed_) return status_;
    return cancelled() ? absl::CancelledError("loading was cancelled")
                       : absl::OkStatus();
  }

 private:
  void DropAll() const {
    if (options_.file != nullptr && options_.drop_page_cache) {
      options_.file->DropPageCache();
    }
  }
  bool cancelled() const {
    return options_.cancel != nullptr && options_.cancel->load();
  }
  void Fail(absl::Status status) {
    std::lock_guard lock(mutex_);
    if (!failed_) status_ = std::move(status);
    failed_ = true;
  }

  const PackJobOptions& options_;
  ProgressMeter meter_;
  std::mutex mutex_;
  absl::Status status_;
  std::atomic<bool> failed_{false};
};

}  // namespace

absl::Status RunPackJobs(absl::Span<const PackJob> jobs, Executor& executor,
                         const PackJobOptions& options) {
  JobRunner runner(jobs, options);
  std::vector<std::vector<const PackJob*>> by_node(executor.nodes());
  for (const PackJob& job : jobs) by_node[job.node].push_back(&job);
  std::vector<std::jthread> nodes;
  for (int node = 0; node < executor.nodes(); ++node) {
    nodes.emplace_back([&, node] {
      const auto& own = by_node[node];
      executor.ParallelFor(node, static_cast<int64_t>(own.size()),
                           [&](int64_t i) { runner.Run(*own[i]); });
    });
  }
  for (std::jthread& node : nodes) node.join();
  return runner.Finish();
}

}  // namespace mlad
