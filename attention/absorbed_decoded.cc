// Absorbed attention on latents decoded to floats: any cache type.
#include <algorithm>

#include "attention/absorbed_unit.h"

namespace mlad {
namespace {

static_assert(kPagePositions <= kMaxTilePositions);

/// Updates the state of every row of the unit with one decoded page.
void AttendPage(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                int64_t page, int64_t decoded, const AbsorbedScratch& scratch) {
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
    args.q = QueryOfRow(pass, unit, row);
    args.state = StateOfRow(pass, unit, scratch, row);
    pass.kernels->absorbed_tile(args);
  }
}

}  // namespace

void AttendDecodedPages(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                        const AbsorbedScratch& scratch) {
  const LatentCache& cache = *pass.cache;
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
}

}  // namespace mlad
