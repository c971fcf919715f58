// The results of mla-bench as a table, Markdown and JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/bench_runner.h"

namespace mlad {

/// What was measured on what.
struct BenchReport {
  std::string model;
  std::string isa;
  std::string kv_type;
  std::string cpu;  // as /proc/cpuinfo calls it
  int nodes = 1;
  int workers = 1;  // of all nodes
  double bandwidth_bytes_per_s = 0;
  double load_s = 0;
  int64_t weights_bytes = 0;
  int64_t kv_bytes_capacity = 0;
  int64_t compute_bytes = 0;
  std::vector<BenchRow> rows;

  /// Of the read bandwidth, for generation; 0 for prompts.
  double PercentOfBandwidth(const BenchRow& row) const;
};

nlohmann::json ReportAsJson(const BenchReport& report);
/// A Markdown table, with the machine in a line above; readable as plain text.
std::string ReportAsText(const BenchReport& report);

}  // namespace mlad
