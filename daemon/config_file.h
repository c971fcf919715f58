// Configuration files: TOML with a command's long flags as keys.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "absl/status/status.h"

namespace mlad {

/// Sets every option of `command` that the file has and the command line has
/// not. Keys are flag names with '_' for '-': `threads_per_node = 8`; flags
/// that may be repeated take arrays. Errors: kNotFound, kInvalidArgument naming
/// file, line and key.
absl::Status ApplyConfigFile(const std::string& path, CLI::App& command);

}  // namespace mlad
