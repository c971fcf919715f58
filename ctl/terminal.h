// What depends on whether a person is watching.
#pragma once

#include <string>
#include <string_view>

namespace mlad {

/// True when the descriptor (0, 1 or 2) is a terminal.
bool IsTerminal(int descriptor);

/// Escape sequences for stdout, or nothing when that is no terminal, NO_COLOR
/// is set or TERM is "dumb".
class Colours {
 public:
  /// Looks at stdout and the environment.
  Colours();
  explicit Colours(bool enabled) : enabled_(enabled) {}

  std::string Bold(std::string_view text) const { return Wrap("1", text); }
  std::string Dim(std::string_view text) const { return Wrap("2", text); }

 private:
  std::string Wrap(std::string_view code, std::string_view text) const;
  bool enabled_;
};

/// Text of a model as it may be shown. On a terminal, control characters other
/// than line feed and tab become U+FFFD: they could command the terminal.
std::string ForTerminal(std::string_view text, bool is_terminal);

/// A line on stderr that is written over again and again; nothing when stderr
/// is no terminal.
class ProgressLine {
 public:
  ProgressLine() : visible_(IsTerminal(2)) {}
  explicit ProgressLine(bool visible) : visible_(visible) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Show(std::string_view text);
  void Clear();

 private:
  bool visible_;
  bool shown_ = false;
};

}  // namespace mlad
