#include "numa/barrier.h"

#include <numeric>

namespace mlad {
namespace {

/// For counters with one writer: no locked instruction.
void Add(std::atomic<int64_t>& counter, int64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount,
                std::memory_order_relaxed);
}

}  // namespace

Barrier::Barrier(absl::Span<const int> workers_per_node,
                 const WaitPolicy& policy, const TickClock& clock)
    : policy_(policy),
      clock_(clock),
      nodes_(static_cast<int>(workers_per_node.size())),
      gates_(new NodeGate[workers_per_node.size()]),
      missing_nodes_(nodes_),
      times_(new WorkerTime[std::accumulate(workers_per_node.begin(),
                                            workers_per_node.end(), 0)]) {
  for (int n = 0; n < nodes_; ++n) {
    gates_[n].workers = workers_per_node[n];
    gates_[n].missing = workers_per_node[n];
  }
}

/// last_of_node(round): what the last worker of the node does before it goes
/// on.
template <class LastOfNode>
void Barrier::Arrive(int node, int global_worker, LastOfNode last_of_node) {
  NodeGate& gate = gates_[node];
  WorkerTime& time = times_[global_worker];
  const int64_t arrived = clock_.Now();
  Add(time.busy, arrived - time.since);
  // Nobody can publish the next round before this worker has arrived.
  const uint32_t round = gate.round.value();
  if (gate.missing.fetch_sub(1, std::memory_order_acq_rel) > 1) {
    gate.round.Wait(round, policy_);
  } else {
    gate.missing.store(gate.workers, std::memory_order_relaxed);
    gate.next_piece.store(0, std::memory_order_relaxed);
    last_of_node(round);
  }
  time.since = clock_.Now();
  Add(time.waited, time.since - arrived);
}

void Barrier::ArriveAndWaitOnNode(int node, int global_worker) {
  Arrive(node, global_worker,
         [&](uint32_t round) { gates_[node].round.Publish(round + 1); });
}

void Barrier::ArriveAndWait(int node, int global_worker) {
  Arrive(node, global_worker, [&](uint32_t round) {
    if (missing_nodes_.fetch_sub(1, std::memory_order_acq_rel) > 1) {
      gates_[node].round.Wait(round, policy_);
      return;
    }
    missing_nodes_.store(nodes_, std::memory_order_relaxed);
    for (int n = 0; n < nodes_; ++n) {
      gates_[n].round.Publish(gates_[n].round.value() + 1);
    }
  });
}

}  // namespace mlad
