#include "numa/stage_graph.h"

#include <utility>

namespace mlad {

StageGraph::StageGraph() {
  // A graph belongs to the arena in which it is made.
  arena_.execute([this] { graph_ = std::make_unique<tbb::flow::graph>(); });
}

StageGraph::~StageGraph() { vertices_.clear(); }

void StageGraph::Build(int stages, std::function<void(int)> run_stage) {
  run_stage_ = std::move(run_stage);
  arena_.execute([&] {
    vertices_.clear();
    for (int i = 0; i < stages; ++i) {
      vertices_.push_back(std::make_unique<Vertex>(
          *graph_, [this, i](const tbb::flow::continue_msg&) {
            run_stage_(i);
            return tbb::flow::continue_msg();
          }));
      if (i > 0) tbb::flow::make_edge(*vertices_[i - 1], *vertices_[i]);
    }
  });
}

void StageGraph::Run() {
  if (vertices_.empty()) return;
  arena_.execute([this] {
    vertices_.front()->try_put(tbb::flow::continue_msg());
    graph_->wait_for_all();
  });
}

}  // namespace mlad
