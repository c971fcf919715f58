#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace mlad {

StopMatcher::Pattern::Pattern(const std::string& stop)
    : text(stop), border(stop.size(), 0) {
  MLAD_CHECK(!stop.empty());
  for (size_t i = 1, length = 0; i < text.size(); ++i) {
    while (length > 0 && text[i] != text[length]) length = border[length - 1];
    if (text[i] == text[length]) ++length;
    border[i] = length;
  }
}

bool StopMatcher::Pattern::Advance(char byte) {
  while (matched > 0 && text[matched] != byte) matched = border[matched - 1];
  if (text[matched] == byte) ++matched;
  return matched == text.size();
}

StopMatcher::StopMatcher(const std::vector<std::string>& stops)
    : patterns_(stops.begin(), stops.end()) {}

std::string StopMatcher::Add(std::string_view text) {
  MLAD_DCHECK(!matched());
  if (patterns_.empty()) return std::string(text);
  for (const char byte : text) {
    held_.push_back(byte);
    for (Pattern& pattern : patterns_) {
      if (pattern.Advance(byte) && pattern.text.size() > stop_string_.size()) {
        stop_string_ = pattern.text;
      }
    }
    if (matched()) {
      held_.resize(held_.size() - stop_string_.size());
      return std::exchange(held_, {});
    }
  }
  size_t open = 0;
  for (const Pattern& pattern : patterns_) {
    open = std::max(open, pattern.matched);
  }
  std::string wanted = held_.substr(0, held_.size() - open);
  held_.erase(0, held_.size() - open);
  return wanted;
}

std::string StopMatcher::Flush() { return std::exchange(held_, {}); }

}  // namespace mlad
