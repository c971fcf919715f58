#include "daemon/log.h"

#include <cstdlib>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/systemd_sink.h>

namespace mlad {

std::shared_ptr<spdlog::logger> MakeLog(const std::string& level) {
  std::shared_ptr<spdlog::logger> log;
  // systemd sets it for services whose stderr is the journal.
  if (std::getenv("JOURNAL_STREAM") != nullptr) {
    log = std::make_shared<spdlog::logger>(
        "mlad", std::make_shared<spdlog::sinks::systemd_sink_mt>("mlad"));
  } else {
    log = std::make_shared<spdlog::logger>(
        "mlad", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    log->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v");
  }
  log->set_level(spdlog::level::from_str(level));
  log->flush_on(spdlog::level::info);
  return log;
}

}  // namespace mlad
