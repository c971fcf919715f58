// The TBB arena of a node, for coarse work.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <tbb/task_arena.h>

#include "absl/functional/function_ref.h"

struct hwloc_topology;

namespace mlad {

/// Its threads run on the node's CPUs only. For jobs of 100 us and more: TBB
/// hands out threads as it likes, and waking one takes tens of microseconds.
class NodeArena {
 public:
  /// One slot per entry of `cpus` (OS indices).
  NodeArena(hwloc_topology* topology, std::vector<int> cpus);
  ~NodeArena();

  /// body(i) for i in [0, count), on the calling thread and others, in any
  /// order; returns when all are done. Several threads may call it.
  void ParallelFor(int64_t count, absl::FunctionRef<void(int64_t)> body);

 private:
  class ThreadBinder;

  hwloc_topology* const topology_;
  const std::vector<int> cpus_;
  tbb::task_arena arena_;
  std::unique_ptr<ThreadBinder> binder_;
};

}  // namespace mlad
