// Lists of CPUs as the kernel writes them: "0-3,8".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace mlad {

/// Ascending, without duplicates. Errors: kInvalidArgument naming what is
/// wrong.
absl::StatusOr<std::vector<int>> ParseCpuList(std::string_view text);

/// The inverse; the order of `cpus` does not matter. "" when empty.
std::string FormatCpuList(absl::Span<const int> cpus);

}  // namespace mlad
