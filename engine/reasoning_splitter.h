// Splits what a model thinks from what it answers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mlad {

inline constexpr std::string_view kThoughtBegin = "<think>";
inline constexpr std::string_view kThoughtEnd = "</think>";

/// True when the last thought that `prompt` begins is not ended there: the
/// model's text begins within a thought.
bool OpensThought(std::string_view prompt);

/// A text is a thought, if it begins with one (or the prompt did), then the
/// answer. Neither the marks nor the blanks right behind them belong to either.
/// The result does not depend on how the text is cut.
class ReasoningSplitter {
 public:
  struct Parts {
    std::string reasoning;
    std::string answer;
  };

  /// `begins_in_thought`: the prompt opened it.
  explicit ReasoningSplitter(bool begins_in_thought)
      : place_(begins_in_thought ? Place::kThoughtBlanks : Place::kBegin) {}

  /// Appends `text`. Returns what is now known of it: what could become a mark
  /// is held back.
  Parts Add(std::string_view text);
  /// The end of the text: what was held back.
  Parts Flush();

  /// False while the thought goes on.
  bool in_answer() const {
    return place_ != Place::kThoughtBlanks && place_ != Place::kThought;
  }

 private:
  enum class Place : uint8_t {
    kBegin,          // nothing but blanks so far
    kThoughtBlanks,  // right behind the first mark
    kThought,
    kAnswerBlanks,  // right behind the second mark
    kAnswer,
  };
  /// One move; false when more text is needed.
  bool Move(Parts& parts);
  bool MoveFromBegin();
  bool MoveFromThought(Parts& parts);
  /// Drops blanks; false when nothing else is there.
  bool SkipBlanks(Place next);

  Place place_;
  std::string held_;
};

}  // namespace mlad
