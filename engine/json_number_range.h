// Decimal numbers within bounds, as grammars.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mlad {

/// Largest bound, either way: its digits, all nines, are as many as an integer
/// of a grammar has.
inline constexpr int64_t kMaxJsonBound = 9'999'999'999'999'999;

struct JsonBounds {
  std::optional<int64_t> least;
  std::optional<int64_t> most;
};

/// GBNF of the integers within `bounds`, without leading zeros. Bounds are at
/// most kMaxJsonBound in size, and least <= most.
std::string IntegerRangeGrammar(const JsonBounds& bounds);

/// The same of numbers, with up to 16 digits after the point and no exponent.
std::string NumberRangeGrammar(const JsonBounds& bounds);

}  // namespace mlad
