// Settings from outside the command line: environment variables and TOML files.
// A setting is a long flag of a command; its key is the flag's name with '_'
// for '-', its variable MLAD_ and the key in capitals.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "absl/status/status.h"

namespace mlad {

/// One setting of a command and what it is after everything was read.
struct Setting {
  std::string key;     // "threads_per_node"
  std::string value;   // several are joined with ", "; empty: not set
  std::string origin;  // "default", "command line", "MLAD_KV", "F.toml:3"
};

/// Reads the settings of one command; what is read first takes precedence, so:
/// the command line (parsed by CLI11), then the environment, then the file.
class SettingsReader {
 public:
  /// `command` has been parsed. Settings that only `all` has are known in
  /// files, checked by name and left alone: one file serves all commands.
  SettingsReader(CLI::App& command, CLI::App& all);

  /// The variable MLAD_KEY of every setting; flags that may be repeated take
  /// "a,b". An empty variable counts as unset. Errors: kInvalidArgument naming
  /// the variable.
  absl::Status ApplyEnvironment();
  /// Keys with scalars, or arrays for flags that may be repeated. Errors:
  /// kNotFound; kInvalidArgument naming file and line, for unknown keys with
  /// the nearest known one.
  absl::Status ApplyFile(const std::string& path);

  /// In the order of the command's help.
  std::vector<Setting> Describe() const;

 private:
  absl::Status Apply(CLI::Option& option,
                     const std::vector<std::string>& values,
                     const std::string& origin);
  absl::Status UnknownKey(const std::string& key,
                          const std::string& place) const;

  CLI::App& command_;
  CLI::App& all_;
  std::vector<std::pair<const CLI::Option*, std::string>> origins_;
};

}  // namespace mlad
