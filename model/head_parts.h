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

/// Into how many parts each of the node's heads is cut: more than one where
/// there are more workers than heads.
inline int PartsOfHead(const StepState& state, const WorkerContext& worker) {
  const int64_t heads = state.heads[worker.node].size();
  return static_cast<int>(
      heads == 0 ? 1 : std::max<int64_t>(1, worker.workers / heads));
}

/// Splits the node's heads over its workers.
template <typename Visit>
void ForEachHeadPart(const StepState& state, const WorkerContext& worker,
                     Visit visit) {
  const WorkRange heads = state.heads[worker.node];
  const int parts = PartsOfHead(state, worker);
  const WorkRange range =
      SplitEvenly(heads.size() * parts, worker.workers, worker.worker);
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
