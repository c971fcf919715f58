// Byte counts in sentences and tables.
#pragma once

#include <cstdint>
#include <string>

namespace mlad {

/// "17 bytes", "1.5 KiB", "378.4 GiB": three to four digits.
std::string FormatBytes(int64_t bytes);

}  // namespace mlad
