// Keys of a JSON object other than given ones, as a grammar.
#pragma once

#include <string>
#include <vector>

namespace mlad {

/// GBNF rules; the one called `name` is a JSON string, without escapes, that is
/// none of `keys`. The others' names begin with `name`.
std::string KeyExclusionRules(const std::string& name,
                              const std::vector<std::string>& keys);

}  // namespace mlad
