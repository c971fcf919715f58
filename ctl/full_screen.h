// A program that has the terminal to itself for a while.
#pragma once

#include <string>
#include <vector>

#include <termios.h>

namespace mlad {

/// While it lives, standard output shows the terminal's second screen, without
/// a cursor, and keys arrive at standard input at once and unseen. Both must be
/// terminals.
class FullScreen {
 public:
  FullScreen();
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  struct Size {
    int width = 80;
    int height = 24;
    bool operator==(const Size&) const = default;
  };
  /// Now; 80 by 24 where the terminal does not tell.
  static Size CurrentSize();

  /// Writes over what was there; lines have at most the screen's width.
  static void Show(const std::vector<std::string>& lines);

  /// The next key, or 0 when none comes within `wait_ms`.
  static char WaitForKey(int wait_ms);

 private:
  termios before_{};
};

}  // namespace mlad
