// The command line of `mlad`.
#pragma once

#include <string>
#include <variant>

#include "absl/types/span.h"

#include "daemon/options.h"

namespace mlad {

struct DoctorOptions {
  ModelOptions model;
};

/// What the command line asks for; or, when there is nothing to run (help,
/// version, a mistake), the exit status.
using Command = std::variant<int, ServeOptions, PlanOptions, DoctorOptions>;

/// Exit status of a command line or configuration that is wrong.
inline constexpr int kUsageError = 2;

/// Parses argv and, for `serve`, the file given by --config; what is on the
/// command line takes precedence. Prints help to stdout and mistakes, one
/// sentence each, to stderr.
Command ParseCommandLine(int argc, const char* const* argv);

}  // namespace mlad
