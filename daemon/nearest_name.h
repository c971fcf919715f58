// "Did you mean ...?"
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlad {

/// Insertions, deletions, substitutions and swaps of neighbours that turn one
/// text into the other (optimal string alignment distance).
int EditDistance(std::string_view a, std::string_view b);

/// The name with the fewest edits from `name`, the first of several; none when
/// more than half of the letters would have to change.
std::optional<std::string> NearestName(std::string_view name,
                                       const std::vector<std::string>& names);

}  // namespace mlad
