// TOML files, and where in them something stands.
#pragma once

#include <string>

#include <toml++/toml.h>

#include "absl/status/statusor.h"

namespace mlad {

/// "mlad.toml:3"
std::string TomlPlace(const std::string& path,
                      const toml::source_region& region);

/// Errors: kNotFound; kInvalidArgument naming file and line for what is no
/// TOML.
absl::StatusOr<toml::table> ParseTomlFile(const std::string& path);

}  // namespace mlad
