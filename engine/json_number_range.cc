#include "engine/json_number_range.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace mlad {
namespace {

constexpr absl::string_view kFraction = "(\".\" [0-9]{1,16})?";
constexpr absl::string_view kZeroFraction = "(\".\" \"0\"{1,16})?";

bool AllAre(const std::string& digits, char digit) {
  return digits.find_first_not_of(digit) == std::string::npos;
}

std::string AnyDigits(size_t count) {
  return count == 0 ? "" : absl::StrCat(" [0-9]{", count, "}");
}

/// Alternatives for the digit strings from `first` to `last`, as long as these.
void AddDigits(const std::string& prefix, const std::string& first,
               const std::string& last, std::vector<std::string>& out) {
  if (first.empty()) {
    out.push_back(absl::StrCat("\"", prefix, "\""));
    return;
  }
  if (first[0] == last[0]) {
    AddDigits(prefix + first[0], first.substr(1), last.substr(1), out);
    return;
  }
  const std::string first_tail = first.substr(1);
  const std::string last_tail = last.substr(1);
  const size_t tail = first_tail.size();
  char low = first[0];
  char high = last[0];
  if (!AllAre(first_tail, '0')) {
    AddDigits(prefix + low, first_tail, std::string(tail, '9'), out);
    ++low;
  }
  if (!AllAre(last_tail, '9')) --high;
  if (low <= high) {
    out.push_back(absl::StrCat("\"", prefix, "\" [", std::string(1, low), "-",
                               std::string(1, high), "]", AnyDigits(tail)));
  }
  if (!AllAre(last_tail, '9')) {
    AddDigits(prefix + last[0], std::string(tail, '0'), last_tail, out);
  }
}

/// 0 <= least <= most. In parentheses.
std::string NaturalRange(int64_t least, int64_t most) {
  std::vector<std::string> alternatives;
  const std::string last = std::to_string(most);
  std::string first = std::to_string(least);
  while (first.size() < last.size()) {
    AddDigits("", first, std::string(first.size(), '9'), alternatives);
    first = "1" + std::string(first.size(), '0');
  }
  AddDigits("", first, last, alternatives);
  return absl::StrCat("(", absl::StrJoin(alternatives, " | "), ")");
}

/// 0 <= least <= most.
std::string NonNegativeNumbers(int64_t least, int64_t most) {
  std::string numbers = absl::StrCat("\"", most, "\" ", kZeroFraction);
  if (least < most) {
    absl::StrAppend(&numbers, " | ", NaturalRange(least, most - 1), " ",
                    kFraction);
  }
  return absl::StrCat("(", numbers, ")");
}

/// `natural`: makes the grammar of what lies between two bounds of 0 or more.
template <typename Natural>
std::string WithSigns(const JsonBounds& bounds, int64_t least_negative,
                      const Natural& natural) {
  const int64_t least = bounds.least.value_or(-kMaxJsonBound);
  const int64_t most = bounds.most.value_or(kMaxJsonBound);
  std::vector<std::string> alternatives;
  if (most >= 0) {
    alternatives.push_back(natural(std::max<int64_t>(least, 0), most));
  }
  if (-least >= least_negative) {
    const int64_t nearest = std::max(least_negative, -most);
    alternatives.push_back(absl::StrCat("\"-\" ", natural(nearest, -least)));
  }
  return absl::StrJoin(alternatives, " | ");
}

}  // namespace

std::string IntegerRangeGrammar(const JsonBounds& bounds) {
  return WithSigns(bounds, 1, NaturalRange);
}

std::string NumberRangeGrammar(const JsonBounds& bounds) {
  // From -0.something on there are negative numbers, unless 0 is the least.
  const int64_t least_negative = bounds.least.value_or(-1) < 0 ? 0 : 1;
  return WithSigns(bounds, least_negative, NonNegativeNumbers);
}

}  // namespace mlad
