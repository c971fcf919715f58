#include "ctl/terminal.h"

#include <cstdlib>
#include <iostream>

#include <unistd.h>

namespace mlad {
namespace {

bool ColoursWanted() {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  if (term != nullptr && std::string_view(term) == "dumb") return false;
  return IsTerminal(1);
}

bool IsControl(unsigned char byte) {
  return (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F;
}

}  // namespace

bool IsTerminal(int descriptor) { return isatty(descriptor) == 1; }

Colours::Colours() : enabled_(ColoursWanted()) {}

std::string Colours::Wrap(std::string_view code, std::string_view text) const {
  if (!enabled_) return std::string(text);
  std::string wrapped = "\x1b[";
  wrapped.append(code).append("m").append(text).append("\x1b[0m");
  return wrapped;
}

std::string ForTerminal(std::string_view text, bool is_terminal) {
  if (!is_terminal) return std::string(text);
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    // U+0080 to U+009F, two bytes each in UTF-8, are controls as well.
    const bool is_c1 = text[i] == '\xC2' && i + 1 < text.size() &&
                       static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (is_c1) ++i;
    if (is_c1 || IsControl(static_cast<unsigned char>(text[i]))) {
      shown += "\xEF\xBF\xBD";
    } else {
      shown += text[i];
    }
  }
  return shown;
}

void ProgressLine::Show(std::string_view text) {
  if (!visible_) return;
  std::cerr << "\r\x1b[K" << text << std::flush;
  shown_ = true;
}

void ProgressLine::Clear() {
  if (shown_) std::cerr << "\r\x1b[K" << std::flush;
  shown_ = false;
}

}  // namespace mlad
