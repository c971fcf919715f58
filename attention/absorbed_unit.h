// What one worker computes at a time in the absorbed form, and its two ways
// through a lane's pages.
#pragma once

#include <cstdint>

#include "attention/absorbed.h"
#include "numa/bump_allocator.h"

namespace mlad {

/// Some heads of some rows of a group, over one lane.
struct AbsorbedUnit {
  const RowGroup* group = nullptr;
  int lane = 0;
  WorkRange rows;  // of the group
  WorkRange heads;

  int64_t head_count() const { return heads.size(); }
  int64_t pairs() const { return rows.size() * head_count(); }
};

struct AbsorbedScratch {
  float* latents = nullptr;  // [kPagePositions, row_elements]
  float* peak = nullptr;     // [pairs]
  float* sum = nullptr;      // [pairs]
  // Of the coded form:
  QueryCodes queries;             // of a unit's rows, one after the other
  int8_t* values = nullptr;       // [kMaxCodedPositions, kv_lora_rank]
  float* value_scales = nullptr;  // [kMaxCodedPositions]
  AbsorbedUnit encoded = {};      // whose queries are in `queries`, in any lane
};

/// Where the outcome of one row goes, of all heads.
inline PartialView::Lane PartialOfRow(const AbsorbedPass& pass,
                                      const AbsorbedUnit& unit, int64_t row) {
  return pass.partials.At(unit.group->first_pass_row + row, unit.lane,
                          unit.group->pages->first_node);
}

/// The state of one row of the unit and of its first head: outputs are summed
/// where they go.
inline SoftmaxState StateOfRow(const AbsorbedPass& pass,
                               const AbsorbedUnit& unit,
                               const AbsorbedScratch& scratch, int64_t row) {
  const int64_t pair = (row - unit.rows.begin) * unit.head_count();
  return {scratch.peak + pair, scratch.sum + pair,
          PartialOfRow(pass, unit, row).out +
              unit.heads.begin * pass.shape.kv_lora_rank};
}

/// The unit's query of one row and of its first head.
inline const float* QueryOfRow(const AbsorbedPass& pass,
                               const AbsorbedUnit& unit, int64_t row) {
  return pass.q + ((unit.group->first_pass_row + row) * pass.shape.heads +
                   unit.heads.begin) *
                      pass.shape.row_elements();
}

/// Updates the state of every row of the unit with the lane's pages, decoded to
/// floats one by one. Bits depend on the row, its position and the latents.
void AttendDecodedPages(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                        const AbsorbedScratch& scratch);

/// The same on the codes of the pages' rows, where UsesCodes().
void AttendCodedPages(const AbsorbedPass& pass, const AbsorbedUnit& unit,
                      AbsorbedScratch& scratch);

/// Whether the pass multiplies codes instead of floats.
bool UsesCodes(const AbsorbedPass& pass);

}  // namespace mlad
