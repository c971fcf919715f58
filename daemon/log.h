// The daemon's log: one line an event on stderr, with the priorities that the
// journal understands when systemd runs us.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <spdlog/logger.h>

#include "rpc/request_log.h"

namespace mlad {

/// `level`: "debug", "info", "warning" or "error".
std::shared_ptr<spdlog::logger> MakeLog(const std::string& level);

/// A field of the journal: name in capitals, as MLAD_MODEL.
struct LogField {
  std::string name;
  std::string value;
};

/// A line about the daemon's life. In the journal it has MLAD_EVENT=event and
/// the fields, so that `journalctl MLAD_EVENT=serving` finds it.
void LogEvent(spdlog::logger& log, std::string_view event,
              const std::string& message, const std::vector<LogField>& fields,
              spdlog::level::level_enum level = spdlog::level::info);

/// A line about a call: of Inference, at level info; else, at level debug. In
/// the journal MLAD_EVENT is request.
void LogRequest(spdlog::logger& log, const RequestRecord& record);

}  // namespace mlad
