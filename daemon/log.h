// The daemon's log: one line an event on stderr, with the priorities that the
// journal understands when systemd runs us.
#pragma once

#include <memory>
#include <string>

#include <spdlog/logger.h>

namespace mlad {

/// `level`: "debug", "info", "warning" or "error".
std::shared_ptr<spdlog::logger> MakeLog(const std::string& level);

}  // namespace mlad
