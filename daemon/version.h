#pragma once

namespace mlad {
extern const char kVersion[];  // "0.1.0"
}  // namespace mlad
