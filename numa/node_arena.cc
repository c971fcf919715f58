#include "numa/node_arena.h"

#include <atomic>
#include <utility>

#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_scheduler_observer.h>

#include "numa/thread_binding.h"

namespace mlad {

/// Moves TBB's threads to the node's CPUs as they enter its arena. A thread
/// that cannot be moved works where it is: memory is bound by region, not by
/// thread.
class NodeArena::ThreadBinder final : public tbb::task_scheduler_observer {
 public:
  explicit ThreadBinder(NodeArena& owner)
      : tbb::task_scheduler_observer(owner.arena_), owner_(owner) {
    observe(true);
  }
  ~ThreadBinder() override { observe(false); }

  void on_scheduler_entry(bool is_worker) override {
    if (is_worker) {
      BindThisThread(owner_.topology_, owner_.cpus_).IgnoreError();
    }
  }

 private:
  NodeArena& owner_;
};

NodeArena::NodeArena(hwloc_topology* topology, std::vector<int> cpus)
    : topology_(topology),
      cpus_(std::move(cpus)),
      arena_(static_cast<int>(cpus_.size())) {
  arena_.initialize();
  binder_ = std::make_unique<ThreadBinder>(*this);
}

NodeArena::~NodeArena() = default;

void NodeArena::ParallelFor(int64_t count,
                            absl::FunctionRef<void(int64_t)> body) {
  const ScopedThreadBinding here(topology_, cpus_);
  // TBB orders the caller before its jobs and them before its return, but
  // inside its library, where ThreadSanitizer cannot see it; these two say it
  // again.
  std::atomic<int64_t> begun{1};
  std::atomic<int64_t> done{0};
  arena_.execute([&] {
    tbb::parallel_for(
        int64_t{0}, count,
        [&](int64_t i) {
          begun.load(std::memory_order_acquire);
          body(i);
          done.fetch_add(1, std::memory_order_release);
        },
        tbb::simple_partitioner());
  });
  done.load(std::memory_order_acquire);
}

}  // namespace mlad
