#include "daemon/config_file.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include "base/status.h"
#include "daemon/nearest_name.h"
#include "daemon/toml_file.h"

namespace mlad {
namespace {

/// "threads_per_node" for "--threads-per-node"; empty for what is no setting.
std::string KeyOf(const CLI::Option& option) {
  const std::vector<std::string>& names = option.get_lnames();
  if (names.empty() || names[0] == "config" || names[0] == "help" ||
      names[0] == "json") {
    return "";
  }
  return absl::StrReplaceAll(names[0], {{"-", "_"}});
}

CLI::Option* FindSetting(CLI::App& command, const std::string& key) {
  for (CLI::Option* option : command.get_options()) {
    if (!key.empty() && KeyOf(*option) == key) return option;
  }
  return nullptr;
}

bool IsRepeatable(const CLI::Option& option) {
  return option.get_items_expected_max() > 1;
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

absl::StatusOr<std::vector<std::string>> SpellAll(const toml::node& node,
                                                  const std::string& place,
                                                  const std::string& key) {
  std::vector<std::string> values;
  const toml::array* const array = node.as_array();
  if (array == nullptr) {
    MLAD_ASSIGN_OR_RETURN(values.emplace_back(), Spell(node, place, key));
    return values;
  }
  for (const toml::node& element : *array) {
    MLAD_ASSIGN_OR_RETURN(values.emplace_back(), Spell(element, place, key));
  }
  return values;
}

}  // namespace

SettingsReader::SettingsReader(CLI::App& command, CLI::App& all)
    : command_(command), all_(all) {
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0) origins_.emplace_back(option, "command line");
  }
}

absl::Status SettingsReader::Apply(CLI::Option& option,
                                   const std::vector<std::string>& values,
                                   const std::string& origin) {
  if (option.count() > 0) return absl::OkStatus();
  try {
    for (const std::string& value : values) option.add_result(value);
    option.run_callback();
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(absl::StrCat(origin, ": ", error.what()));
  }
  origins_.emplace_back(&option, origin);
  return absl::OkStatus();
}

absl::Status SettingsReader::ApplyEnvironment() {
  for (CLI::Option* option : command_.get_options()) {
    const std::string key = KeyOf(*option);
    if (key.empty()) continue;
    const std::string variable =
        absl::StrCat("MLAD_", absl::AsciiStrToUpper(key));
    const char* const value = std::getenv(variable.c_str());
    if (value == nullptr || *value == '\0') continue;
    std::vector<std::string> values = {value};
    if (IsRepeatable(*option)) values = absl::StrSplit(value, ',');
    MLAD_RETURN_IF_ERROR(Apply(*option, values, variable));
  }
  return absl::OkStatus();
}

absl::Status SettingsReader::UnknownKey(const std::string& key,
                                        const std::string& place) const {
  std::vector<std::string> known;
  for (const CLI::Option* option : all_.get_options()) {
    if (std::string name = KeyOf(*option); !name.empty()) {
      known.push_back(std::move(name));
    }
  }
  const auto nearest = NearestName(key, known);
  return absl::InvalidArgumentError(absl::StrCat(
      place, ": there is no setting '", key, "'; ",
      nearest.has_value()
          ? absl::StrCat("did you mean '", *nearest, "'?")
          : "'mlad serve --help' lists the flags, written here with '_' for "
            "'-'"));
}

absl::Status SettingsReader::ApplyFile(const std::string& path) {
  MLAD_ASSIGN_OR_RETURN(const toml::table table, ParseTomlFile(path));
  for (const auto& [toml_key, node] : table) {
    const std::string key(toml_key.str());
    const std::string place = TomlPlace(path, node.source());
    if (FindSetting(all_, key) == nullptr) return UnknownKey(key, place);
    CLI::Option* const option = FindSetting(command_, key);
    if (option == nullptr) continue;
    if (node.is_array() && !IsRepeatable(*option)) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": '", key, "' takes one value, not an array"));
    }
    MLAD_ASSIGN_OR_RETURN(const std::vector<std::string> values,
                          SpellAll(node, place, key));
    if (values.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          place, ": the array of '", key, "' is empty; leave the key out"));
    }
    MLAD_RETURN_IF_ERROR(Apply(*option, values, place));
  }
  return absl::OkStatus();
}

std::vector<Setting> SettingsReader::Describe() const {
  std::vector<Setting> settings;
  for (const CLI::Option* option : std::as_const(command_).get_options()) {
    const std::string key = KeyOf(*option);
    if (key.empty()) continue;
    Setting setting{key, option->get_default_str(), "default"};
    for (const auto& [set, origin] : origins_) {
      if (set != option) continue;
      setting.value = absl::StrJoin(option->results(), ", ");
      setting.origin = origin;
    }
    settings.push_back(std::move(setting));
  }
  return settings;
}

}  // namespace mlad
