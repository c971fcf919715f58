#include "engine/reasoning_splitter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace mlad {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

}  // namespace

bool OpensThought(std::string_view prompt) {
  const size_t begin = prompt.rfind(kThoughtBegin);
  const size_t end = prompt.rfind(kThoughtEnd);
  return begin != std::string_view::npos &&
         (end == std::string_view::npos || end < begin);
}

ReasoningSplitter::Parts ReasoningSplitter::Add(std::string_view text) {
  held_ += text;
  Parts parts;
  while (Move(parts)) {
  }
  return parts;
}

ReasoningSplitter::Parts ReasoningSplitter::Flush() {
  Parts parts;
  if (place_ == Place::kThought) {
    parts.reasoning = std::exchange(held_, {});
  } else {
    parts.answer = std::exchange(held_, {});
  }
  return parts;
}

bool ReasoningSplitter::Move(Parts& parts) {
  switch (place_) {
    case Place::kBegin:
      return MoveFromBegin();
    case Place::kThoughtBlanks:
      return SkipBlanks(Place::kThought);
    case Place::kThought:
      return MoveFromThought(parts);
    case Place::kAnswerBlanks:
      return SkipBlanks(Place::kAnswer);
    case Place::kAnswer:
      parts.answer += std::exchange(held_, {});
      return false;
  }
  return false;
}

bool ReasoningSplitter::MoveFromBegin() {
  const size_t first = held_.find_first_not_of(kBlanks);
  if (first == std::string::npos) return false;
  const std::string_view rest = std::string_view(held_).substr(first);
  if (rest.size() < kThoughtBegin.size() &&
      kThoughtBegin.substr(0, rest.size()) == rest) {
    return false;
  }
  if (rest.substr(0, kThoughtBegin.size()) == kThoughtBegin) {
    held_.erase(0, first + kThoughtBegin.size());
    place_ = Place::kThoughtBlanks;
  } else {
    place_ = Place::kAnswer;
  }
  return true;
}

bool ReasoningSplitter::MoveFromThought(Parts& parts) {
  const size_t end = held_.find(kThoughtEnd);
  if (end != std::string::npos) {
    parts.reasoning += held_.substr(0, end);
    held_.erase(0, end + kThoughtEnd.size());
    place_ = Place::kAnswerBlanks;
    return true;
  }
  // The longest end that could begin the mark stays.
  size_t open = std::min(held_.size(), kThoughtEnd.size() - 1);
  while (!absl::EndsWith(held_, absl::string_view(kThoughtEnd.data(), open))) {
    --open;
  }
  parts.reasoning += held_.substr(0, held_.size() - open);
  held_.erase(0, held_.size() - open);
  return false;
}

bool ReasoningSplitter::SkipBlanks(Place next) {
  held_.erase(0, held_.find_first_not_of(kBlanks));
  if (held_.empty()) return false;
  place_ = next;
  return true;
}

}  // namespace mlad
