// The stages of a step as a resident flow graph.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <tbb/flow_graph.h>
#include <tbb/task_arena.h>

namespace mlad {

/// A chain of one vertex per stage, in an arena with a single slot: the
/// vertices run one after another on the thread that calls Run(), never on a
/// thread that TBB lends, which would be on another core and might not come at
/// all.
class StageGraph {
 public:
  StageGraph();
  ~StageGraph();

  /// Replaces the chain: vertex i calls run_stage(i).
  void Build(int stages, std::function<void(int)> run_stage);
  /// Runs the chain; returns after its last vertex. Does not allocate.
  void Run();

 private:
  using Vertex = tbb::flow::continue_node<tbb::flow::continue_msg>;

  tbb::task_arena arena_{/*max_concurrency=*/1, /*reserved_for_masters=*/1};
  std::unique_ptr<tbb::flow::graph> graph_;
  std::vector<std::unique_ptr<Vertex>> vertices_;
  std::function<void(int)> run_stage_;
};

}  // namespace mlad
