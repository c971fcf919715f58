#include "ctl/full_screen.h"

#include <iostream>

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace mlad {

FullScreen::FullScreen() {
  tcgetattr(STDIN_FILENO, &before_);
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  std::cout << "\x1b[?1049h\x1b[?25l" << std::flush;
}

FullScreen::~FullScreen() {
  std::cout << "\x1b[?25h\x1b[?1049l" << std::flush;
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

FullScreen::Size FullScreen::CurrentSize() {
  winsize window = {};
  Size size;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0) return size;
  if (window.ws_col > 0) size.width = window.ws_col;
  if (window.ws_row > 0) size.height = window.ws_row;
  return size;
}

void FullScreen::Show(const std::vector<std::string>& lines) {
  // Line by line: a screen that is cleared first flickers.
  std::string text = "\x1b[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    text.append(i == 0 ? "" : "\r\n").append(lines[i]).append("\x1b[K");
  }
  std::cout << text << "\x1b[J" << std::flush;
}

char FullScreen::WaitForKey(int wait_ms) {
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  if (poll(&input, 1, wait_ms) <= 0) return 0;
  char key = 0;
  return read(STDIN_FILENO, &key, 1) == 1 ? key : 'q';  // the terminal is gone
}

}  // namespace mlad
