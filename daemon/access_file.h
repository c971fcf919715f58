// The file that says who may call the daemon.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "rpc/access_rules.h"

namespace mlad {

/// Reads TOML with a table [[client]] for each client; docs/security.md lists
/// the keys. Users and groups are looked up.
/// Errors: kNotFound; kPermissionDenied for a file that anybody may write;
/// kInvalidArgument naming file and line. No sentence repeats a hash.
absl::StatusOr<AccessRules> ReadAccessFile(const std::string& path);

}  // namespace mlad
