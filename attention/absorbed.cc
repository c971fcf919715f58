#include "attention/absorbed.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/absorbed_unit.h"
#include "base/round_up.h"
#include "numa/cost_split.h"

namespace mlad {
namespace {

// Workers share a lane's heads in units of this many: enough for a kernel to
// keep a latent row in registers for several heads; of the coded form, the
// heads that it computes at once.
constexpr int64_t kHeadUnit = 4;
constexpr int64_t kCodedHeadUnit = kCodeQueries;
// (row, head) pairs that are computed at once, unless one row has more heads.
constexpr int64_t kStatePairs = 128;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

int64_t StateCapacity(const AbsorbedShape& shape) {
  return RoundUp(std::max(shape.heads, kStatePairs), kCodeQueries);
}

AbsorbedScratch LayOut(const AbsorbedShape& shape, BumpAllocator& memory) {
  const int64_t pairs = StateCapacity(shape);
  AbsorbedScratch scratch;
  scratch.latents = memory.Take<float>(kPagePositions * shape.row_elements());
  scratch.peak = memory.Take<float>(pairs);
  scratch.sum = memory.Take<float>(pairs);
  scratch.queries.codes = memory.Take<uint8_t>(pairs * shape.row_elements());
  scratch.queries.scale = memory.Take<float>(pairs);
  scratch.queries.tail_scale = memory.Take<float>(pairs);
  scratch.queries.tail_begin = shape.kv_lora_rank;
  scratch.values = memory.Take<int8_t>(kMaxCodedPositions * shape.kv_lora_rank);
  scratch.value_scales = memory.Take<float>(kMaxCodedPositions);
  return scratch;
}

void BeginRow(const AbsorbedPass& pass, const AbsorbedUnit& unit,
              const SoftmaxState& state) {
  std::fill_n(state.peak, unit.head_count(), kMinusInfinity);
  std::fill_n(state.sum, unit.head_count(), 0.0f);
  std::fill_n(state.out, unit.head_count() * pass.shape.kv_lora_rank, 0.0f);
}

/// Normalises the outputs.
void FinishRow(const AbsorbedPass& pass, const AbsorbedUnit& unit,
               const SoftmaxState& state, float* lse) {
  const int64_t rank = pass.shape.kv_lora_rank;
  for (int64_t h = 0; h < unit.head_count(); ++h) {
    const float sum = state.sum[h];
    pass.kernels->scale(state.out + h * rank, rank, sum == 0 ? 0 : 1 / sum);
    lse[h] = sum == 0 ? kMinusInfinity : state.peak[h] + std::log(sum);
  }
}

/// unit.pairs() fit into the scratch; every row has positions in the lane.
void RunUnit(const AbsorbedPass& pass, const AbsorbedUnit& unit,
             AbsorbedScratch& scratch) {
  for (int64_t row = unit.rows.begin; row < unit.rows.end; ++row) {
    BeginRow(pass, unit, StateOfRow(pass, unit, scratch, row));
  }
  if (UsesCodes(pass)) {
    AttendCodedPages(pass, unit, scratch);
  } else {
    AttendDecodedPages(pass, unit, scratch);
  }
  for (int64_t row = unit.rows.begin; row < unit.rows.end; ++row) {
    FinishRow(pass, unit, StateOfRow(pass, unit, scratch, row),
              PartialOfRow(pass, unit, row).lse + unit.heads.begin);
  }
}

/// Some heads of all rows of a group that have positions in the lane.
void RunLane(const AbsorbedPass& pass, const RowGroup& group, int lane,
             WorkRange heads, AbsorbedScratch& scratch) {
  const int64_t first_visible = int64_t{lane} * kPagePositions;
  const int64_t first_row =
      std::max<int64_t>(first_visible - group.first_position, 0);
  const int64_t rows_at_once =
      StateCapacity(pass.shape) / RoundUp(heads.size(), kCodeQueries);
  for (int64_t row = first_row; row < group.rows; row += rows_at_once) {
    const WorkRange rows = {row, std::min(row + rows_at_once, group.rows)};
    RunUnit(pass, {&group, lane, rows, heads}, scratch);
  }
}

/// Queries travel once per group: for its other lanes they are in the cache.
void CountQueries(const AbsorbedPass& pass, const WorkerContext& worker,
                  int64_t queries) {
  pass.traffic->Add(worker.node == 0, queries * pass.shape.row_elements() *
                                          static_cast<int64_t>(sizeof(float)));
}

/// Calls visit(group, lane, cost of one head) for the node's lanes.
template <typename Visit>
void ForEachLane(const AbsorbedPass& pass, const WorkerContext& worker,
                 Visit visit) {
  for (const RowGroup& group : pass.groups) {
    const int64_t last = group.first_position + group.rows - 1;
    const int64_t pages = last / kPagePositions + 1;
    for (int lane = 0; lane < ActiveLanes(last); ++lane) {
      if (LaneNode(lane, group.pages->first_node, worker.nodes) !=
          worker.node) {
        continue;
      }
      const int64_t lane_pages = (pages - lane + kLanes - 1) / kLanes;
      visit(group, lane, lane_pages * group.rows);
    }
  }
}

}  // namespace

int64_t AbsorbedScratchFloats(const AbsorbedShape& shape) {
  BumpAllocator memory;
  LayOut(shape, memory);
  return memory.used_bytes() / static_cast<int64_t>(sizeof(float));
}

void RunAbsorbed(const AbsorbedPass& pass, const WorkerContext& worker) {
  BumpAllocator memory(reinterpret_cast<std::byte*>(pass.scratch));
  AbsorbedScratch scratch = LayOut(pass.shape, memory);
  const int64_t heads = pass.shape.heads;
  const int64_t unit = UsesCodes(pass) ? kCodedHeadUnit : kHeadUnit;
  const int64_t units = (heads + unit - 1) / unit;
  int64_t total = 0;
  ForEachLane(pass, worker, [&](const RowGroup&, int, int64_t cost) {
    total += units * cost;
  });
  CostSplit split(total, worker.workers, worker.worker);
  const RowGroup* counted = nullptr;
  ForEachLane(pass, worker, [&](const RowGroup& group, int lane, int64_t cost) {
    const WorkRange mine = split.Next(units, cost);
    if (mine.begin >= mine.end) return;
    const WorkRange range = {mine.begin * unit,
                             std::min(mine.end * unit, heads)};
    if (counted != &group) {
      CountQueries(pass, worker, group.rows * range.size());
      counted = &group;
    }
    RunLane(pass, group, lane, range, scratch);
  });
}

}  // namespace mlad
