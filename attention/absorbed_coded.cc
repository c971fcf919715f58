// Absorbed attention on the codes of Q8_KV rows, several pages of a lane at a
// time: their values are read once for all heads, and outputs are scaled and
// stored once a tile.
#include <algorithm>

#include "attention/absorbed_unit.h"

namespace mlad {
namespace {

constexpr int kTilePages = kMaxCodedPositions / kPagePositions;
static_assert(kTilePages * kPagePositions == kMaxCodedPositions);

/// Pages of the lane from `first_page` on, up to kTilePages of them. Of pages
/// that are missing the first stands in.
struct CodedTile {
  const std::byte* pages[kTilePages];
  int64_t first_page = 0;
  int64_t positions = 0;
};

CodedTile FindTile(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                   int64_t first_page, int64_t end_position) {
  CodedTile tile;
  tile.first_page = first_page;
  for (int i = 0; i < kTilePages; ++i) {
    const int64_t page = first_page + int64_t{i} * kLanes;
    const int64_t left = end_position - page * kPagePositions;
    if (left <= 0) {
      tile.pages[i] = tile.pages[0];
      continue;
    }
    tile.pages[i] =
        pass.cache->Rows(unit.group->pages->pages[page], pass.layer);
    tile.positions += std::min<int64_t>(left, kPagePositions);
  }
  return tile;
}

/// Positions of the tile at or before `position`. Of pages that are kLanes
/// apart all but the last are complete.
int64_t VisiblePositions(const CodedTile& tile, int64_t position) {
  int64_t visible = 0;
  for (int i = 0; i < kTilePages; ++i) {
    const int64_t page = tile.first_page + int64_t{i} * kLanes;
    visible += std::clamp<int64_t>(position + 1 - page * kPagePositions, 0,
                                   kPagePositions);
  }
  return std::min(visible, tile.positions);
}

QueryCodes CodesOfRow(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                      const AbsorbedScratch& scratch, int64_t row) {
  const int64_t heads = (row - unit.rows.begin) *
                        QueryCodeBlocks(unit.head_count()) * kCodeQueries;
  return {scratch.queries.codes + heads * pass.shape.row_elements(),
          scratch.queries.scale + heads, scratch.queries.tail_scale + heads,
          scratch.queries.tail_begin};
}

bool SameQueries(const AbsorbedUnit& a, const AbsorbedUnit& b) {
  return a.group == b.group && a.rows == b.rows && a.heads == b.heads;
}

/// Lanes of a group follow one another: the queries are encoded for the first.
void EncodeUnit(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                AbsorbedScratch& scratch) {
  if (SameQueries(scratch.encoded, unit)) return;
  for (int64_t row = unit.rows.begin; row < unit.rows.end; ++row) {
    pass.kernels->coded_attention->encode_queries(
        QueryOfRow(pass, unit, row), unit.head_count(),
        pass.shape.row_elements(), pass.shape.row_elements(),
        CodesOfRow(pass, unit, scratch, row));
  }
  scratch.encoded = unit;
}

/// The page where the tile behind that of `page` begins: in the lane, or in the
/// node's next one, which the worker mostly computes next. A page of the unit
/// when there is none.
int64_t NextTilePage(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                     int64_t page, int64_t end_position) {
  const int64_t in_lane = page + int64_t{kTilePages} * kLanes;
  if (in_lane * kPagePositions < end_position) return in_lane;
  const int64_t lane =
      unit.lane + static_cast<int64_t>(pass.partials.nodes.size());
  return lane < kLanes && lane * kPagePositions < end_position ? lane : page;
}

}  // namespace

bool UsesCodes(const AbsorbedPass& pass) {
  return pass.kernels->coded_attention != nullptr &&
         pass.cache->shape().type == KvType::kQ8KV &&
         pass.shape.row_elements() % kCodeColumns == 0 &&
         pass.shape.kv_lora_rank % kCodeColumns == 0;
}

void AttendCodedPages(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                      AbsorbedScratch& scratch) {
  const CodedAttention& kernels = *pass.kernels->coded_attention;
  EncodeUnit(pass, unit, scratch);
  CodedTileArgs args;
  args.queries = unit.head_count();
  args.value_elements = pass.shape.kv_lora_rank;
  args.scale = pass.shape.softmax_scale;
  args.values = scratch.values;
  args.value_scales = scratch.value_scales;
  args.rows.run_positions = kPagePositions;
  args.rows.row_elements = pass.shape.row_elements();
  const int64_t end = unit.group->first_position + unit.rows.end;
  for (int64_t page = unit.lane; page * kPagePositions < end;
       page += int64_t{kTilePages} * kLanes) {
    const CodedTile tile = FindTile(pass, unit, page, end);
    const CodedTile next =
        FindTile(pass, unit, NextTilePage(pass, unit, page, end), end);
    args.next_runs = next.pages;
    args.rows.runs = tile.pages;
    args.rows.positions = tile.positions;
    kernels.pack_values(args.rows, args.value_elements, scratch.values,
                        scratch.value_scales);
    pass.traffic->Add(true, tile.positions * pass.cache->row_bytes());
    for (int64_t row = unit.rows.begin; row < unit.rows.end; ++row) {
      args.rows.positions =
          VisiblePositions(tile, unit.group->first_position + row);
      args.q = CodesOfRow(pass, unit, scratch, row);
      args.state = StateOfRow(pass, unit, scratch, row);
      kernels.attend(args);
      args.next_runs = nullptr;  // once a tile is enough
    }
  }
}

}  // namespace mlad
