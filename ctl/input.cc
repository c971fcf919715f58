#include "ctl/input.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "ctl/terminal.h"

namespace mlad {
absl::StatusOr<std::string> ReadInputFile(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {  // which would open
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read '", path, "': it is a folder; name a file"));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in.is_open()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read '", path, "': ", std::strerror(errno)));
  }
  return std::string(std::istreambuf_iterator<char>(in), {});
}

absl::StatusOr<std::string> ReadInputText(const InputOptions& options) {
  if ((options.words.empty() ? 0 : 1) + (options.file.empty() ? 0 : 1) +
          (options.tokens.empty() ? 0 : 1) >
      1) {
    return absl::InvalidArgumentError(
        "more than one of text, --file and --tokens given; give one");
  }
  if (!options.tokens.empty()) return std::string();
  if (!options.words.empty()) return absl::StrJoin(options.words, " ");
  if (!options.file.empty() && options.file != "-") {
    return ReadInputFile(options.file);
  }
  if (options.file.empty() && IsTerminal(0)) {
    return absl::InvalidArgumentError(
        "no text given; add it to the command, or name a file with --file, or "
        "pipe it in");
  }
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

}  // namespace mlad
