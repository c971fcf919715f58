// Finds stop strings in a stream of text and holds back what may become one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mlad {

/// Byte by byte, so the result does not depend on how the text is cut into
/// tokens: the text ends before the stop string that is complete first, of
/// several complete at the same byte before the longest.
class StopMatcher {
 public:
  /// No stop string is empty or starts within a UTF-8 character.
  explicit StopMatcher(const std::vector<std::string>& stops);

  /// Appends `text`. Returns what is now known to be wanted: all but the
  /// longest end that could begin a stop string, or what comes before a match.
  /// Whole characters, if the texts are. Not to be called after a match.
  std::string Add(std::string_view text);
  /// The end of the text: what was held back.
  std::string Flush();

  bool matched() const { return !stop_string_.empty(); }
  const std::string& stop_string() const { return stop_string_; }

 private:
  /// Knuth-Morris-Pratt automaton of one stop string.
  struct Pattern {
    explicit Pattern(const std::string& stop);
    /// True when the text ends with the whole string.
    bool Advance(char byte);

    std::string text;
    // Of text[0..i]: the longest proper prefix that is also its end.
    std::vector<size_t> border;
    size_t matched = 0;  // bytes of the longest prefix that ends the text
  };

  std::vector<Pattern> patterns_;
  std::string held_;
  std::string stop_string_;
};

}  // namespace mlad
