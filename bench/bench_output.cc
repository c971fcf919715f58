#include "bench/bench_output.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mlad {
namespace {

bool IsGeneration(const BenchRow& row) { return row.test[0] == 't'; }

double MiB(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

double BenchReport::PercentOfBandwidth(const BenchRow& row) const {
  if (!IsGeneration(row) || bandwidth_bytes_per_s == 0) return 0;
  return 100 * row.bytes_per_token * row.Median() / bandwidth_bytes_per_s;
}

nlohmann::json ReportAsJson(const BenchReport& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const BenchRow& row : report.rows) {
    nlohmann::json object = {{"test", row.test},
                             {"depth", row.depth},
                             {"tokens", row.tokens},
                             {"batch", row.batch},
                             {"tokens_per_s", row.Median()},
                             {"tokens_per_s_min", row.Least()},
                             {"tokens_per_s_max", row.Most()},
                             {"repetitions", row.tokens_per_s},
                             {"bytes_per_token", row.bytes_per_token},
                             {"barrier_percent", row.barrier_percent}};
    if (IsGeneration(row)) {
      object["percent_of_bandwidth"] = report.PercentOfBandwidth(row);
    }
    rows.push_back(object);
  }
  return {{"model", report.model},
          {"isa", report.isa},
          {"kv", report.kv_type},
          {"cpu", report.cpu},
          {"nodes", report.nodes},
          {"workers", report.workers},
          {"bandwidth_bytes_per_s", report.bandwidth_bytes_per_s},
          {"load_s", report.load_s},
          {"weights_bytes", report.weights_bytes},
          {"kv_bytes_capacity", report.kv_bytes_capacity},
          {"compute_bytes", report.compute_bytes},
          {"rows", rows}};
}

std::string ReportAsText(const BenchReport& report) {
  std::string text = absl::StrFormat(
      "%s: %s kernels, %s cache, %d nodes, %d workers on %s; read bandwidth "
      "%.1f GB/s\nweights %.1f MiB (loaded in %.2f s), cache %.1f MiB, compute "
      "%.1f MiB\n\n"
      "| test | tokens/s | min | max | MB/token | of bandwidth | barriers |\n"
      "|---|---:|---:|---:|---:|---:|---:|\n",
      report.model, report.isa, report.kv_type, report.nodes, report.workers,
      report.cpu, report.bandwidth_bytes_per_s / 1e9, MiB(report.weights_bytes),
      report.load_s, MiB(report.kv_bytes_capacity), MiB(report.compute_bytes));
  for (const BenchRow& row : report.rows) {
    const std::string share =
        IsGeneration(row)
            ? absl::StrFormat("%.1f%%", report.PercentOfBandwidth(row))
            : "";
    absl::StrAppendFormat(
        &text, "| %s | %.2f | %.2f | %.2f | %.3f | %s | %.1f%% |\n", row.test,
        row.Median(), row.Least(), row.Most(), row.bytes_per_token / 1e6, share,
        row.barrier_percent);
  }
  return text;
}

}  // namespace mlad
