#include "engine/page_forms.h"

#include <algorithm>
#include <limits>

namespace mlad {

FormMask PageForms::Mask(int64_t page) const {
  if (page < static_cast<int64_t>(taken_over_.size())) return taken_over_[page];
  const int64_t expanded = std::clamp<int64_t>(
      expanded_end_ - page * kPagePositions, 0, kPagePositions);
  return static_cast<FormMask>((uint64_t{1} << expanded) - 1);
}

bool PageForms::IsExpanded(int64_t position) const {
  return (Mask(position / kPagePositions) >> (position % kPagePositions) &
          1u) != 0;
}

int64_t PageForms::RunEnd(int64_t position) const {
  const int64_t taken_over =
      static_cast<int64_t>(taken_over_.size()) * kPagePositions;
  const bool expanded = IsExpanded(position);
  while (position < taken_over) {
    ++position;
    if (IsExpanded(position) != expanded) return position;
  }
  return expanded ? expanded_end_ : std::numeric_limits<int64_t>::max();
}

}  // namespace mlad
