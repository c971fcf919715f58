#include "daemon/config_file.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "base/status.h"

namespace mlad {
namespace {

std::string Place(const std::string& path, const toml::source_region& region) {
  return absl::StrCat(path, ":", region.begin.line);
}

/// A scalar as the command line would spell it.
absl::StatusOr<std::string> Spell(const toml::node& node,
                                  const std::string& place,
                                  const std::string& key) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) {
    return absl::StrCat(number->get());
  }
  if (const auto* number = node.as_floating_point()) {
    return absl::StrCat(number->get());
  }
  if (const auto* flag = node.as_boolean()) {
    return std::string(flag->get() ? "true" : "false");
  }
  return absl::InvalidArgumentError(
      absl::StrCat(place, ": the value of '", key,
                   "' must be a string, a number or true/false"));
}

absl::Status SetOption(const toml::node& node, const std::string& place,
                       const std::string& key, CLI::App& command) {
  const std::string flag =
      absl::StrCat("--", absl::StrReplaceAll(key, {{"_", "-"}}));
  CLI::Option* option = command.get_option_no_throw(flag);
  if (option == nullptr || flag == "--config" || flag == "--help" ||
      key.find('-') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, ": there is no setting '", key,
                     "'; 'mlad serve --help' lists the flags, written here "
                     "with '_' for '-'"));
  }
  if (option->count() > 0) return absl::OkStatus();
  std::vector<std::string> values;
  if (const toml::array* array = node.as_array()) {
    if (option->get_items_expected_max() == 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": '", key, "' takes one value, not an array"));
    }
    for (const toml::node& element : *array) {
      MLAD_ASSIGN_OR_RETURN(values.emplace_back(), Spell(element, place, key));
    }
  } else {
    MLAD_ASSIGN_OR_RETURN(values.emplace_back(), Spell(node, place, key));
  }
  try {
    for (const std::string& value : values) option->add_result(value);
    option->run_callback();
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(place, ": ", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyConfigFile(const std::string& path, CLI::App& command) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat("there is no configuration file '",
                                            path, "'; check the path"));
  }
  toml::table table;
  try {
    table = toml::parse_file(path);
  } catch (const toml::parse_error& mistake) {
    const std::string_view what = mistake.description();
    return absl::InvalidArgumentError(
        absl::StrCat(Place(path, mistake.source()), ": ",
                     absl::string_view(what.data(), what.size())));
  }
  for (const auto& [key, node] : table) {
    MLAD_RETURN_IF_ERROR(SetOption(node, Place(path, node.source()),
                                   std::string(key.str()), command));
  }
  return absl::OkStatus();
}

}  // namespace mlad
