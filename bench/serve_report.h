// What a load test measured.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/serve_run.h"

namespace mlad {

/// Of some durations, in ms. The p-th percentile is the smallest value that at
/// least p percent of all reach or stay below.
struct Percentiles {
  static Percentiles Of(std::vector<double> values_ms);
  int64_t count = 0;
  double mean = 0, p50 = 0, p95 = 0, p99 = 0, most = 0;
};

/// One load, summed up.
struct ServeRow {
  static ServeRow Of(double rate, const LoadRun& run);

  double rate = 0;  // requests/s asked for; 0: all at once
  int64_t requests = 0;
  int64_t completed = 0;
  std::map<std::string, int64_t> errors;  // by the name of the status code
  std::string first_error;                // its sentence
  double duration_s = 0;                  // up to the last answer's end
  int64_t prompt_tokens = 0;              // of the completed
  int64_t cached_tokens = 0;              // of these
  int64_t output_tokens = 0;              // all that came
  Percentiles first_token;                // from sending to the first token
  Percentiles token_gap;                  // between two tokens of a request
  Percentiles whole_answer;               // from sending to the end

  double output_tokens_per_s() const;
  double requests_per_s() const;  // completed
};

struct ServeReport {
  std::string model;
  std::string address;
  std::string workload;  // a sentence on lengths and arrivals
  std::vector<ServeRow> rows;
};

std::string ServeReportAsText(const ServeReport& report);
std::string ServeReportAsMarkdown(const ServeReport& report);
nlohmann::json ServeReportAsJson(const ServeReport& report);
/// Two charts in one SVG file: token gaps and times to the first token against
/// the rate of requests.
std::string ServeReportAsSvg(const ServeReport& report);

/// A line of JSON for each request: when it was sent, and when each token came,
/// in seconds since the Unix epoch.
std::string OutcomesAsJsonLines(const LoadRun& run);

}  // namespace mlad
