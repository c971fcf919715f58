// Splits a series of divisible items over workers by cost.
#pragma once

#include <algorithm>
#include <cstdint>

#include "numa/work_range.h"

namespace mlad {

/// The share of part `index` of `parts` in items that are visited in the same
/// order by all parts. Every unit belongs to exactly one part: the one in whose
/// range of the total cost it starts.
class CostSplit {
 public:
  /// total_cost: the sum of units * unit_cost over the items to come.
  CostSplit(int64_t total_cost, int parts, int index)
      : CostSplit(
            {total_cost * index / parts, total_cost * (index + 1) / parts}) {}
  /// The part whose range of the total cost is given.
  explicit CostSplit(WorkRange costs) : low_(costs.begin), high_(costs.end) {}

  /// The units of the next item, `units` units of unit_cost > 0, in this part.
  WorkRange Next(int64_t units, int64_t unit_cost) {
    const WorkRange range = {FirstUnitFrom(low_, units, unit_cost),
                             FirstUnitFrom(high_, units, unit_cost)};
    before_ += units * unit_cost;
    return range;
  }

 private:
  /// The first unit of the item that starts at or after cost `at`.
  int64_t FirstUnitFrom(int64_t at, int64_t units, int64_t unit_cost) const {
    const int64_t within = std::max<int64_t>(at - before_, 0);
    return std::min((within + unit_cost - 1) / unit_cost, units);
  }

  int64_t low_, high_;
  int64_t before_ = 0;  // cost of the items visited so far
};

}  // namespace mlad
