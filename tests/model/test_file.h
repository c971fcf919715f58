// Files for tests.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace mlad {

/// Writes `bytes` to `name` in the test's temporary folder; returns the path.
std::string WriteTestFile(const std::string& name,
                          const std::vector<std::byte>& bytes);

}  // namespace mlad
