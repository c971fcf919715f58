// Static splits of work.
#pragma once

#include <cstdint>

namespace mlad {

/// Half-open range of items.
struct WorkRange {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
  bool operator==(const WorkRange&) const = default;
};

/// The items of `count` that belong to `index` of `parts`: sizes differ by at
/// most one, the larger ones first, in ascending order.
inline WorkRange SplitEvenly(int64_t count, int parts, int index) {
  const int64_t base = count / parts;
  const int64_t larger = count % parts;
  const int64_t begin = index * base + (index < larger ? index : larger);
  return {begin, begin + base + (index < larger ? 1 : 0)};
}

}  // namespace mlad
