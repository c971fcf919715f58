#include "model/pack_jobs.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <thread>
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

}  // namespace

absl::Status RunPackJobs(absl::Span<const PackJob> jobs, Executor& executor,
                         const PackJobOptions& options) {
  ProgressMeter meter(jobs, options.progress);
  const auto cancelled = [&] {
    return options.cancel != nullptr && options.cancel->load();
  };
  std::vector<std::vector<const PackJob*>> by_node(executor.nodes());
  for (const PackJob& job : jobs) by_node[job.node].push_back(&job);
  std::vector<std::jthread> nodes;
  for (int node = 0; node < executor.nodes(); ++node) {
    nodes.emplace_back([&, node] {
      const auto& own = by_node[node];
      executor.ParallelFor(node, static_cast<int64_t>(own.size()),
                           [&](int64_t i) {
                             if (cancelled()) return;
                             RunPackJob(*own[i]);
                             meter.Add(*own[i]);
                           });
    });
  }
  for (std::jthread& node : nodes) node.join();
  return cancelled() ? absl::CancelledError("loading was cancelled")
                     : absl::OkStatus();
}

}  // namespace mlad
