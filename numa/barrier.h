// The barriers between the stages of a step.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

#include "numa/tick_clock.h"
#include "numa/wait_counter.h"

namespace mlad {

/// Hierarchical: workers meet on a cache line of their node, the last one of
/// every node meets the other nodes. Also keeps each worker's time: inside the
/// barrier it waits, outside it is busy. Any thread may ask, at any time.
class Barrier {
 public:
  /// The clock must outlive the barrier.
  Barrier(absl::Span<const int> workers_per_node, const WaitPolicy& policy,
          const TickClock& clock);

  /// Returns when all workers of all nodes have arrived. What a worker wrote
  /// before it arrived is visible to all after they return.
  void ArriveAndWait(int node, int global_worker);
  /// The same among the workers of one node. Each of them must call the two in
  /// the same order.
  void ArriveAndWaitOnNode(int node, int global_worker);

  /// Numbers 0, 1, 2, ... of pieces of work, each to one worker of the node;
  /// from 0 again after every barrier.
  int64_t TakePiece(int node) {
    return gates_[node].next_piece.fetch_add(1, std::memory_order_relaxed);
  }

  /// The worker begins to be busy: call it where a step begins.
  void Begin(int global_worker) { times_[global_worker].since = clock_.Now(); }

  int64_t busy_ns(int global_worker) const {
    return clock_.ToNanoseconds(
        times_[global_worker].busy.load(std::memory_order_relaxed));
  }
  int64_t waited_ns(int global_worker) const {
    return clock_.ToNanoseconds(
        times_[global_worker].waited.load(std::memory_order_relaxed));
  }

 private:
  struct alignas(128) NodeGate {
    std::atomic<int> missing{0};
    int workers = 0;
    WaitCounter round;
    alignas(128) std::atomic<int64_t> next_piece{0};
  };
  template <class LastOfNode>
  void Arrive(int node, int global_worker, LastOfNode last_of_node);

  struct alignas(128) WorkerTime {  // in ticks; written by its worker only
    std::atomic<int64_t> busy{0};
    std::atomic<int64_t> waited{0};
    int64_t since = 0;  // when the worker last left the barrier
  };

  const WaitPolicy policy_;
  const TickClock& clock_;
  const int nodes_;
  std::unique_ptr<NodeGate[]> gates_;  // [nodes]
  alignas(128) std::atomic<int> missing_nodes_;
  std::unique_ptr<WorkerTime[]> times_;  // [workers of all nodes]
};

}  // namespace mlad
