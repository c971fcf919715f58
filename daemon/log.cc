#include "daemon/log.h"

#include <cstdlib>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace mlad {
namespace {

constexpr char kIdentifier[] = "mlad";

/// systemd sets it for services whose stderr is the journal.
bool LogGoesToJournal() { return std::getenv("JOURNAL_STREAM") != nullptr; }

}  // namespace

std::shared_ptr<spdlog::logger> MakeLog(const std::string& level) {
  std::shared_ptr<spdlog::logger> log;
  if (LogGoesToJournal()) {
    log = std::make_shared<spdlog::logger>(
        kIdentifier,
        std::make_shared<spdlog::sinks::systemd_sink_mt>(kIdentifier));
  } else {
    log = std::make_shared<spdlog::logger>(
        kIdentifier, std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    log->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v");
  }
  log->set_level(spdlog::level::from_str(level));
  log->flush_on(spdlog::level::info);
  return log;
}

void LogEvent(spdlog::logger& log, std::string_view event,
              const std::string& message, const std::vector<LogField>& fields,
              spdlog::level::level_enum level) {
  if (!log.should_log(level)) return;
  if (!LogGoesToJournal()) {
    log.log(level, "{}", message);
    return;
  }
  const int priority = level >= spdlog::level::err    ? 3
                       : level == spdlog::level::warn ? 4
                       : level == spdlog::level::info ? 6
                                                      : 7;
  std::vector<std::string> entries = {
      absl::StrCat("MESSAGE=", message), absl::StrCat("PRIORITY=", priority),
      absl::StrCat("SYSLOG_IDENTIFIER=", kIdentifier),
      "MLAD_EVENT=" + std::string(event)};
  for (const LogField& field : fields) {
    entries.push_back(absl::StrCat(field.name, "=", field.value));
  }
  std::vector<iovec> parts;
  parts.reserve(entries.size());
  for (std::string& entry : entries) {
    parts.push_back({entry.data(), entry.size()});
  }
  sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

void LogRequest(spdlog::logger& log, const RequestRecord& record) {
  const auto level = absl::StartsWith(record.method, "mlad.v1.Inference/")
                         ? spdlog::level::info
                         : spdlog::level::debug;
  if (!log.should_log(level)) return;
  const std::string code(
      absl::StatusCodeToString(static_cast<absl::StatusCode>(record.code)));
  const std::string trace =
      record.trace.empty() ? "" : absl::StrCat(", trace ", record.trace);
  LogEvent(
      log, "request",
      absl::StrFormat("%s from %s: %s after %.3f s, request %s%s",
                      record.method, record.peer, code,
                      absl::ToDoubleSeconds(record.duration), record.id, trace),
      {{"MLAD_METHOD", record.method},
       {"MLAD_REQUEST", record.id},
       {"MLAD_TRACE", record.trace},
       {"MLAD_PEER", record.peer},
       {"MLAD_CODE", code},
       {"MLAD_DURATION_US",
        absl::StrCat(absl::ToInt64Microseconds(record.duration))}},
      level);
}

}  // namespace mlad
