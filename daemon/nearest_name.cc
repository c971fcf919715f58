#include "daemon/nearest_name.h"

#include <algorithm>

namespace mlad {

int EditDistance(std::string_view a, std::string_view b) {
  // rows[i][j]: from the first i letters of a to the first j of b.
  std::vector<std::vector<int>> rows(a.size() + 1,
                                     std::vector<int>(b.size() + 1, 0));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        rows[i][j] = static_cast<int>(i + j);
        continue;
      }
      rows[i][j] = std::min(
          {rows[i - 1][j] + 1, rows[i][j - 1] + 1,
           rows[i - 1][j - 1] + static_cast<int>(a[i - 1] != b[j - 1])});
      const bool swapped =
          i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[a.size()][b.size()];
}

std::optional<std::string> NearestName(std::string_view name,
                                       const std::vector<std::string>& names) {
  // A name this long is no misspelling, and the table would be large.
  constexpr size_t kMaxNameBytes = 100;
  if (name.size() > kMaxNameBytes) return std::nullopt;
  std::optional<std::string> best;
  int fewest = static_cast<int>(name.size() / 2) + 1;
  for (const std::string& candidate : names) {
    const int edits = EditDistance(name, candidate);
    if (edits >= fewest) continue;
    fewest = edits;
    best = candidate;
  }
  return best;
}

}  // namespace mlad
