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

void Barrier::ArriveAndWait(int node, int global_worker) {
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
    if (missing_nodes_.fetch_sub(1, std::memory_order_acq_rel) > 1) {
      gate.round.Wait(round, policy_);
    } else {
      missing_nodes_.store(nodes_, std::memory_order_relaxed);
      for (int n = 0; n < nodes_; ++n) gates_[n].round.Publish(round + 1);
    }
  }
  time.since = clock_.Now();
  Add(time.waited, time.since - arrived);
}

}  // namespace mlad
