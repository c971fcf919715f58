#include "attention/absorbed.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "numa/bump_allocator.h"
#include "numa/cost_split.h"

namespace mlad {
namespace {

// Workers share a lane's heads in units of this many: enough for a kernel to
// keep a latent row in registers for several heads.
constexpr int64_t kHeadUnit = 4;
// (row, head) pairs whose state is kept at once, unless one row has more heads:
// with kv_lora_rank 512 this is 256 KiB.
constexpr int64_t kStatePairs = 128;

static_assert(kPagePositions <= kMaxTilePositions);

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct Scratch {
  float* latents;      // [kPagePositions, row_elements]
  SoftmaxState state;  // [pairs]
};

Scratch LayOut(const AbsorbedShape& shape, BumpAllocator& memory) {
  const int64_t pairs = std::max(shape.heads, kStatePairs);
  Scratch scratch;
  scratch.latents = memory.Take<float>(kPagePositions * shape.row_elements());
  scratch.state.peak = memory.Take<float>(pairs);
  scratch.state.sum = memory.Take<float>(pairs);
  scratch.state.out = memory.Take<float>(pairs * shape.kv_lora_rank);
  return scratch;
}

/// Some heads of some rows of a group, over one lane.
struct Unit {
  const RowGroup* group;
  int lane;
  WorkRange rows;  // of the group
  WorkRange heads;

  int64_t head_count() const { return heads.size(); }
  int64_t pairs() const { return rows.size() * head_count(); }
};

SoftmaxState StateOfRow(const SoftmaxState& state, const AbsorbedShape& shape,
                        const Unit& unit, int64_t row) {
  const int64_t pair = (row - unit.rows.begin) * unit.head_count();
  return {state.peak + pair, state.sum + pair,
          state.out + pair * shape.kv_lora_rank};
}

/// Updates the state of every row of the unit with one decoded page.
void AttendPage(const AbsorbedPass& pass, const Unit& unit, int64_t page,
                int64_t decoded, const Scratch& scratch) {
  const AbsorbedShape& shape = pass.shape;
  AbsorbedTileArgs args;
  args.heads = unit.head_count();
  args.row_elements = shape.row_elements();
  args.value_elements = shape.kv_lora_rank;
  args.rows = scratch.latents;
  args.scale = shape.softmax_scale;
  for (int64_t row = unit.rows.begin; row < unit.rows.end; ++row) {
    const int64_t visible =
        unit.group->first_position + row + 1 - page * kPagePositions;
    if (visible <= 0) continue;
    args.positions = std::min(visible, decoded);
    args.q = pass.q + ((unit.group->first_pass_row + row) * shape.heads +
                       unit.heads.begin) *
                          shape.row_elements();
    args.state = StateOfRow(scratch.state, shape, unit, row);
    pass.kernels->absorbed_tile(args);
  }
}

/// Normalises the state of every row of the unit into the partials.
void StorePartials(const AbsorbedPass& pass, const Unit& unit,
                   const SoftmaxState& state) {
  const int64_t rank = pass.shape.kv_lora_rank;
  for (int64_t row = unit.rows.begin; row < unit.rows.end; ++row) {
    const SoftmaxState of_row = StateOfRow(state, pass.shape, unit, row);
    const PartialView::Lane partial =
        pass.partials.At(unit.group->first_pass_row + row, unit.lane,
                         unit.group->pages->first_node);
    for (int64_t h = 0; h < unit.head_count(); ++h) {
      const float sum = of_row.sum[h];
      const float factor = sum == 0 ? 0 : 1 / sum;
      const float* from = of_row.out + h * rank;
      float* out = partial.out + (unit.heads.begin + h) * rank;
      for (int64_t i = 0; i < rank; ++i) out[i] = factor * from[i];
      partial.lse[unit.heads.begin + h] =
          sum == 0 ? kMinusInfinity : of_row.peak[h] + std::log(sum);
    }
  }
}

/// unit.pairs() fit into the scratch; every row has positions in the lane.
void RunUnit(const AbsorbedPass& pass, const Unit& unit,
             const Scratch& scratch) {
  const LatentCache& cache = *pass.cache;
  const SoftmaxState& state = scratch.state;
  std::fill_n(state.peak, unit.pairs(), kMinusInfinity);
  std::fill_n(state.sum, unit.pairs(), 0.0f);
  std::fill_n(state.out, unit.pairs() * pass.shape.kv_lora_rank, 0.0f);
  const int64_t positions = unit.group->first_position + unit.rows.end;
  for (int64_t page = unit.lane; page * kPagePositions < positions;
       page += kLanes) {
    const int64_t decoded =
        std::min<int64_t>(kPagePositions, positions - page * kPagePositions);
    pass.kernels->decode_latent(
        cache.shape().type,
        cache.Rows(unit.group->pages->pages[page], pass.layer), decoded,
        pass.shape.row_elements(), scratch.latents);
    pass.traffic->Add(true, decoded * cache.row_bytes());
    AttendPage(pass, unit, page, decoded, scratch);
  }
  StorePartials(pass, unit, state);
}

/// Some heads of all rows of a group that have positions in the lane.
void RunLane(const AbsorbedPass& pass, const RowGroup& group, int lane,
             WorkRange heads, const Scratch& scratch) {
  const int64_t first_visible = int64_t{lane} * kPagePositions;
  const int64_t first_row =
      std::max<int64_t>(first_visible - group.first_position, 0);
  const int64_t capacity = std::max(pass.shape.heads, kStatePairs);
  const int64_t rows_at_once = capacity / heads.size();
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
  const Scratch scratch = LayOut(pass.shape, memory);
  const int64_t heads = pass.shape.heads;
  const int64_t units = (heads + kHeadUnit - 1) / kHeadUnit;
  int64_t total = 0;
  ForEachLane(pass, worker, [&](const RowGroup&, int, int64_t cost) {
    total += units * cost;
  });
  CostSplit split(total, worker.workers, worker.worker);
  const RowGroup* counted = nullptr;
  ForEachLane(pass, worker, [&](const RowGroup& group, int lane, int64_t cost) {
    const WorkRange mine = split.Next(units, cost);
    if (mine.begin >= mine.end) return;
    const WorkRange range = {mine.begin * kHeadUnit,
                             std::min(mine.end * kHeadUnit, heads)};
    if (counted != &group) {
      CountQueries(pass, worker, group.rows * range.size());
      counted = &group;
    }
    RunLane(pass, group, lane, range, scratch);
  });
}

}  // namespace mlad
