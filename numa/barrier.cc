#include "numa/barrier.h"

#include <map>

#include "numa/work_range.h"

namespace mlad {
namespace {

/// For counters with one writer: no locked instruction.
void Add(std::atomic<int64_t>& counter, int64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount,
                std::memory_order_relaxed);
}

/// A node's workers by the gates where they meet first.
std::vector<std::vector<int>> GroupWorkers(const std::vector<int>& l3_groups) {
  std::map<int, std::vector<int>> by_l3;
  for (size_t worker = 0; worker < l3_groups.size(); ++worker) {
    by_l3[l3_groups[worker]].push_back(static_cast<int>(worker));
  }
  std::vector<std::vector<int>> groups;
  for (const auto& [l3, workers] : by_l3) {
    const auto count = static_cast<int>(workers.size());
    const int parts = (count + kMostWorkersAtAGate - 1) / kMostWorkersAtAGate;
    for (int part = 0; part < parts; ++part) {
      const WorkRange range = SplitEvenly(count, parts, part);
      groups.emplace_back(workers.begin() + range.begin,
                          workers.begin() + range.end);
    }
  }
  return groups;
}

}  // namespace

Barrier::Barrier(absl::Span<const std::vector<int>> l3_groups,
                 const WaitPolicy& policy, const TickClock& clock)
    : policy_(policy), clock_(clock), nodes_(new NodeGate[l3_groups.size()]) {
  machine_.Expect(static_cast<int>(l3_groups.size()));
  for (size_t node = 0; node < l3_groups.size(); ++node) {
    const size_t first = group_of_worker_.size();
    group_of_worker_.resize(first + l3_groups[node].size());
    const auto groups = GroupWorkers(l3_groups[node]);
    if (groups.size() == 1) {
      nodes_[node].Expect(static_cast<int>(groups[0].size()));
      continue;
    }
    nodes_[node].Expect(static_cast<int>(groups.size()));
    for (const std::vector<int>& workers : groups) {
      if (workers.size() == 1) continue;
      Gate& group = groups_.emplace_back();
      group.Expect(static_cast<int>(workers.size()));
      for (int worker : workers) group_of_worker_[first + worker] = &group;
    }
  }
  times_.reset(new WorkerTime[group_of_worker_.size()]);
}

template <class Last>
void Barrier::Gate::Meet(const WaitPolicy& policy, Last last) {
  // Nobody can publish the next round before this one has arrived.
  const uint32_t before = round.value();
  if (missing.fetch_sub(1, std::memory_order_acq_rel) > 1) {
    round.Wait(before, policy);
    return;
  }
  missing.store(expected, std::memory_order_relaxed);
  last();
  round.Publish(before + 1);
}

template <class Met>
void Barrier::MeetOnNode(int node, int global_worker, Met met) {
  WorkerTime& time = times_[global_worker];
  const int64_t arrived = clock_.Now();
  Add(time.busy, arrived - time.since);
  const auto meet = [&] {
    nodes_[node].Meet(policy_, [&] {
      nodes_[node].next_piece.store(0, std::memory_order_relaxed);
      met();
    });
  };
  Gate* const group = group_of_worker_[global_worker];
  if (group == nullptr) {
    meet();
  } else {
    group->Meet(policy_, meet);
  }
  time.since = clock_.Now();
  Add(time.waited, time.since - arrived);
}

void Barrier::ArriveAndWaitOnNode(int node, int global_worker) {
  MeetOnNode(node, global_worker, [] {});
}

void Barrier::ArriveAndWait(int node, int global_worker) {
  MeetOnNode(node, global_worker, [&] { machine_.Meet(policy_, [] {}); });
}

}  // namespace mlad
