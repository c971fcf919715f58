// Runs the stages of a step on all nodes: per node a team of resident workers,
// each pinned to one core, led by a thread inside that node's tbb::task_arena.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "numa/topology.h"
#include "numa/work_range.h"

namespace mlad {

class Barrier;

/// Who runs a stage body: worker `worker` of `workers` on node `node` of
/// `nodes`.
struct WorkerContext {
  int node = 0;
  int nodes = 1;
  int worker = 0;
  int workers = 1;        // of this node
  int global_worker = 0;  // over all nodes, node by node
  int global_workers = 1;
  Barrier* everyone = nullptr;

  /// Waits until every worker of every node is here. All must call it equally
  /// often within a stage.
  void SyncAll() const;
  /// The same for the workers of this node.
  void SyncNode() const;

  /// Shares `count` units of work out among the node's workers, of which each
  /// is visited once, whoever does it: first an even share to each, of three
  /// quarters of all; the rest in pieces of at least `least` units to whoever
  /// is free, because cores that share a memory controller do not get even
  /// shares of it. Once between two barriers, with the same numbers on all
  /// workers.
  template <typename Visit>
  void ShareOut(int64_t count, int64_t least, Visit visit) const;

 private:
  int64_t TakePiece() const;
};

template <typename Visit>
void WorkerContext::ShareOut(int64_t count, int64_t least, Visit visit) const {
  const bool even = workers == 1 || everyone == nullptr || count < 8 * least;
  const int64_t fixed = even ? count : count / 4 * 3;
  const WorkRange own = SplitEvenly(fixed, workers, worker);
  if (own.size() > 0) visit(own);
  if (even) return;
  const int64_t piece =
      std::max(least, (count - fixed + 4 * workers - 1) / (4 * workers));
  for (;;) {
    const int64_t begin = fixed + TakePiece() * piece;
    if (begin >= count) return;
    visit(WorkRange{begin, std::min(begin + piece, count)});
  }
}

using StageBody = std::function<void(const WorkerContext&)>;

/// Whose workers wait for each other.
enum class SyncScope { kAllNodes, kOwnNode };

/// A named stage of a step. The next stage starts after the body has run on
/// every worker of every node; or of the own node, where only what this node
/// has written is read next.
struct Stage {
  std::string name;
  StageBody body;
  SyncScope end = SyncScope::kAllNodes;
};

/// Counters of one node since start; read at any time.
struct NodeExecutionStats {
  int64_t busy_ns = 0;     // worker time inside stage bodies, summed
  int64_t barrier_ns = 0;  // worker time waiting inside a step, summed
};

class Executor {
 public:
  /// Starts and pins the workers. Errors: kFailedPrecondition when the topology
  /// is not this machine's or a worker cannot be bound, naming the CPU;
  /// kResourceExhausted when a thread cannot be started. The topology must
  /// outlive the executor.
  static absl::StatusOr<std::unique_ptr<Executor>> Create(
      const Topology& topology);
  virtual ~Executor() = default;

  virtual int nodes() const = 0;
  virtual int workers(int node) const = 0;

  /// Makes `stages` the resident program; replaces the previous one. The last
  /// of them ends for all nodes at once.
  virtual void SetProgram(std::vector<Stage> stages) = 0;
  /// Runs the program once and returns when every stage is done everywhere.
  /// The caller becomes worker 0 of node 0 and stays bound to its CPU; one
  /// caller at a time. Between programs the workers sleep, after 200 us.
  virtual void RunProgram() = 0;

  /// Runs coarse jobs (each 100 us and more: packing, loading) of a node in
  /// that node's arena: body(i) for i in [0, count), on any of its threads.
  virtual void ParallelFor(int node, int64_t count,
                           absl::FunctionRef<void(int64_t)> body) = 0;

  virtual NodeExecutionStats stats(int node) const = 0;
};

}  // namespace mlad
