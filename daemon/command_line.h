// The command line of `mlad`.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "daemon/config_file.h"
#include "daemon/options.h"

namespace mlad {

struct DoctorOptions {
  ModelOptions model;
  int64_t max_connections = ServeOptions().max_connections;
  bool json = false;
};

struct CheckConfigOptions {
  ServeOptions serve;
  std::string config;             // the file; empty: none
  std::vector<Setting> settings;  // all of serve's
  bool json = false;
};

struct MakeTokenOptions {
  std::string name;
  std::vector<std::string> roles = {"infer"};
};

/// What the command line asks for; or, when there is nothing to run (help,
/// version, a mistake), the exit status.
using Command = std::variant<int, ServeOptions, PlanOptions, DoctorOptions,
                             CheckConfigOptions, MakeTokenOptions>;

/// Exit status of a command line or configuration that is wrong.
inline constexpr int kUsageError = 2;

/// Parses argv, then the environment and the file given by --config for what is
/// not on the command line. Prints help to stdout and mistakes, one
/// sentence each, to stderr.
Command ParseCommandLine(int argc, const char* const* argv);

}  // namespace mlad
