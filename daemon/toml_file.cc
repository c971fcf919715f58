#include "daemon/toml_file.h"

#include <filesystem>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace mlad {

std::string TomlPlace(const std::string& path,
                      const toml::source_region& region) {
  return absl::StrCat(path, ":", region.begin.line);
}

absl::StatusOr<toml::table> ParseTomlFile(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(
        absl::StrCat("there is no file '", path, "'; check the path"));
  }
  try {
    return toml::parse_file(path);
  } catch (const toml::parse_error& mistake) {
    const std::string_view what = mistake.description();
    return absl::InvalidArgumentError(
        absl::StrCat(TomlPlace(path, mistake.source()), ": ",
                     absl::string_view(what.data(), what.size())));
  }
}

}  // namespace mlad
