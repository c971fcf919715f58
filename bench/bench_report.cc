#include "bench/bench_report.h"

namespace mlad {
namespace {

double Share(double part, double whole) {
  return whole == 0 ? 0 : 100 * part / whole;
}

nlohmann::json RowAsJson(const BenchReport& report, const BenchRow& row) {
  const LimitShare binding = report.BindingLimit(row);
  nlohmann::json object = {
      {"test", row.test},
      {"depth", row.depth},
      {"tokens", row.tokens},
      {"batch", row.batch},
      {"tokens_per_s", row.Median()},
      {"tokens_per_s_min", row.Least()},
      {"tokens_per_s_max", row.Most()},
      {"spread_percent", row.SpreadPercent()},
      {"repetitions", row.tokens_per_s},
      {"bytes_per_token", row.bytes_per_token},
      {"ops_per_token", row.work.ops()},
      {"percent_of_int8_peak", report.PercentOfInt8Peak(row)},
      {"limit", binding.limit},
      {"percent_of_limit", binding.percent},
      {"barrier_percent", row.MedianBarrierPercent()}};
  if (row.kind == BenchKind::kGeneration) {
    object["percent_of_bandwidth"] = report.PercentOfBandwidth(row);
  }
  return object;
}

}  // namespace

double BenchReport::PercentOfBandwidth(const BenchRow& row) const {
  if (row.kind != BenchKind::kGeneration) return 0;
  return Share(row.bytes_per_token * row.Median(), limits.read_bytes_per_s);
}

double BenchReport::PercentOfInt8Peak(const BenchRow& row) const {
  return Share(row.work.ops() * row.Median(), limits.int8_ops_per_s);
}

double BenchReport::PercentOfComputePeak(const BenchRow& row) const {
  return Share(row.work.int8_ops * row.Median(), limits.int8_ops_per_s) +
         Share(row.work.f32_ops * row.Median(), limits.f32_ops_per_s);
}

LimitShare BenchReport::BindingLimit(const BenchRow& row) const {
  const double bandwidth = PercentOfBandwidth(row);
  const double compute = PercentOfComputePeak(row);
  if (bandwidth >= compute) return {"bandwidth", bandwidth};
  const bool int8_longer = Share(row.work.int8_ops, limits.int8_ops_per_s) >=
                           Share(row.work.f32_ops, limits.f32_ops_per_s);
  return {int8_longer ? "int8" : "f32", compute};
}

nlohmann::json ReportAsJson(const BenchReport& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const BenchRow& row : report.rows) {
    rows.push_back(RowAsJson(report, row));
  }
  return {{"model", report.model},
          {"file", report.file},
          {"weight_type", report.weight_type},
          {"isa", report.isa},
          {"kv", report.kv_type},
          {"cpu", report.cpu},
          {"nodes", report.nodes},
          {"workers", report.workers},
          {"bandwidth_bytes_per_s", report.limits.read_bytes_per_s},
          {"int8_ops_per_s", report.limits.int8_ops_per_s},
          {"f32_ops_per_s", report.limits.f32_ops_per_s},
          {"fill", CacheFillName(report.fill)},
          {"load_s", report.load_s},
          {"weights_bytes", report.weights_bytes},
          {"kv_bytes_capacity", report.kv_bytes_capacity},
          {"kv_tokens", report.kv_tokens},
          {"compute_bytes", report.compute_bytes},
          {"rows", rows}};
}

}  // namespace mlad
