// The barriers between the stages of a step.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/types/span.h"

#include "numa/tick_clock.h"
#include "numa/wait_counter.h"

namespace mlad {

/// Workers that meet at one counter: each hands its cache line to the next.
inline constexpr int kMostWorkersAtAGate = 8;

/// Hierarchical: workers meet in groups of at most kMostWorkersAtAGate under
/// one L3 cache, the last of each group on their node, the last of each node
/// meets the other nodes; the way out goes back through the same cache lines.
/// Also keeps each worker's time: inside the barrier it waits, outside it is
/// busy. Any thread may ask, at any time.
class Barrier {
 public:
  /// l3_groups[node][worker] as in NodeDescription; global workers are counted
  /// node by node. The clock must outlive the barrier.
  Barrier(absl::Span<const std::vector<int>> l3_groups,
          const WaitPolicy& policy, const TickClock& clock);

  /// Returns when all workers of all nodes have arrived. What a worker wrote
  /// before it arrived is visible to all after they return.
  void ArriveAndWait(int node, int global_worker);
  /// The same among the workers of one node. Each of them must call the two in
  /// the same order.
  void ArriveAndWaitOnNode(int node, int global_worker);

  /// Numbers 0, 1, 2, ... of pieces of work, each to one worker of the node;
  /// from 0 again after every barrier.
  int64_t TakePiece(int node) {
    return nodes_[node].next_piece.fetch_add(1, std::memory_order_relaxed);
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
  /// Where some meet: workers, or the last ones of other gates.
  struct alignas(128) Gate {
    std::atomic<int> missing{0};
    int expected = 0;
    WaitCounter round;

    void Expect(int count) { missing = expected = count; }
    /// Returns when all have arrived and the last of them has done `last`.
    template <class Last>
    void Meet(const WaitPolicy& policy, Last last);
  };
  struct NodeGate : Gate {
    alignas(128) std::atomic<int64_t> next_piece{0};
  };
  /// `met` is what the last worker of the node does.
  template <class Met>
  void MeetOnNode(int node, int global_worker, Met met);

  struct alignas(128) WorkerTime {  // in ticks; written by its worker only
    std::atomic<int64_t> busy{0};
    std::atomic<int64_t> waited{0};
    int64_t since = 0;  // when the worker last left the barrier
  };

  const WaitPolicy policy_;
  const TickClock& clock_;
  std::unique_ptr<NodeGate[]> nodes_;
  std::deque<Gate> groups_;
  std::vector<Gate*> group_of_worker_;   // null: it goes to its node's gate
  Gate machine_;                         // of all nodes
  std::unique_ptr<WorkerTime[]> times_;  // [workers of all nodes]
};

}  // namespace mlad
