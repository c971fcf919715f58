// How a node's workers share its attention heads. Internal to the stages.
#pragma once

#include <algorithm>
#include <cstdint>

#include "model/step_state.h"

namespace mlad {

/// One worker's share of a head: part `part` of `parts`.
struct HeadPart {
  int64_t head = 0;  // of the model
  int parts = 1;
  int part = 0;
};

/// Splits the node's heads over its workers; heads are cut where there are more
/// workers than heads.
template <typename Visit>
void ForEachHeadPart(const StepState& state, const WorkerContext& worker,
                     Visit visit) {
  const WorkRange heads = state.heads[worker.node];
  const int64_t count = heads.end - heads.begin;
  if (count == 0) return;
  const int parts =
      static_cast<int>(std::max<int64_t>(1, worker.workers / count));
  const WorkRange range =
      SplitEvenly(count * parts, worker.workers, worker.worker);
  for (int64_t i = range.begin; i < range.end; ++i) {
    visit(
        HeadPart{heads.begin + i / parts, parts, static_cast<int>(i % parts)});
  }
}

/// Query of one row and head, on the head's node.
inline float* Query(StepState& state, const WorkerContext& worker,
                    int64_t step_row, int64_t head) {
  const WorkRange heads = state.heads[worker.node];
  return state.node(worker).q +
         (step_row * (heads.end - heads.begin) + head - heads.begin) *
             state.shape.qk_head_dim();
}

/// Counts the reading of weights of the worker's own node.
inline void CountPanels(StepState& state, const WorkerContext& worker,
                        const PackedMatrix& w, int64_t panels) {
  state.own(worker).traffic->Add(true, panels * PanelBytes(w.format, w.cols));
}

}  // namespace mlad
