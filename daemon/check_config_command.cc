#include <algorithm>
#include <iostream>

#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"

#include "daemon/commands.h"
#include "daemon/serve_checks.h"

namespace mlad {
namespace {

void PrintAsJson(const CheckConfigOptions& options) {
  nlohmann::json settings = nlohmann::json::array();
  for (const Setting& setting : options.settings) {
    settings.push_back({{"key", setting.key},
                        {"value", setting.value},
                        {"origin", setting.origin}});
  }
  const nlohmann::json report = {{"config", options.config},
                                 {"settings", std::move(settings)}};
  std::cout << report.dump(-1, ' ', false,
                           nlohmann::json::error_handler_t::replace)
            << "\n";
}

void PrintAsText(const CheckConfigOptions& options) {
  size_t width = 0;
  for (const Setting& setting : options.settings) {
    width = std::max(width, setting.key.size());
  }
  for (const Setting& setting : options.settings) {
    std::cout << absl::StreamFormat(
        "%-*s  %s  (%s)\n", static_cast<int>(width), setting.key,
        setting.value.empty() ? "-" : setting.value, setting.origin);
  }
  std::cout << (options.config.empty() ? "settings" : options.config)
            << ": ok\n";
}

}  // namespace

int RunCheckConfig(const CheckConfigOptions& options) {
  const auto inputs = CheckServeOptions(options.serve, /*header_only=*/true);
  if (!inputs.ok()) return ReportFailure(inputs.status());
  options.json ? PrintAsJson(options) : PrintAsText(options);
  return 0;
}

}  // namespace mlad
