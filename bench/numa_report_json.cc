#include "bench/numa_report.h"

namespace mlad {
namespace {

nlohmann::json AsJson(const PredictedStep& step) {
  return {
      {"tokens_per_s", step.tokens_per_s}, {"step_s", step.step_s},
      {"kernels_s", step.kernels_s},       {"gathers_s", step.gathers_s},
      {"barriers_s", step.barriers_s},     {"attention_s", step.attention_s},
      {"barriers", step.barriers},         {"local_bytes", step.local_bytes},
      {"remote_bytes", step.remote_bytes}};
}

nlohmann::json AsJson(const ServerRow& row) {
  nlohmann::json object = {{"model", row.model},
                           {"machine", row.machine},
                           {"batch", row.batch},
                           {"depth", row.depth},
                           {"one_socket", AsJson(row.one_socket)}};
  for (size_t i = 0; i < kLayouts; ++i) {
    nlohmann::json both = AsJson(row.both[i]);
    both["gain"] = row.Gain(i);
    object[std::string(MemoryLayoutName(kAllMemoryLayouts[i]))] = both;
  }
  return object;
}

nlohmann::json AsJson(const AttentionRow& row) {
  return {{"model", row.model},
          {"machine", row.machine},
          {"depth", row.depth},
          {"positions", AsJson(row.splits[0])},
          {"heads", AsJson(row.splits[1])},
          {"heads_mirrored", AsJson(row.splits[2])}};
}

nlohmann::json AsJson(const ValidationRow& row) {
  return {{"nodes", row.nodes},
          {"batch", row.batch},
          {"depth", row.depth},
          {"measured_tokens_per_s", row.measured_tokens_per_s},
          {"predicted_tokens_per_s", row.predicted_tokens_per_s},
          {"error", row.error()},
          {"measured_bytes_per_token", row.measured_bytes_per_token},
          {"predicted_bytes_per_token", row.predicted_bytes_per_token},
          {"measured_barrier_share", row.measured_barrier_share},
          {"predicted_barrier_share", row.predicted_barrier_share}};
}

nlohmann::json AsJson(const MeasuredRates& m) {
  nlohmann::json matmul = nlohmann::json::array();
  for (const auto& [format, rate] : m.core.matmul) {
    for (const MatMulRate::Point& point : rate.points) {
      matmul.push_back({{"packed_format", static_cast<int>(format)},
                        {"tokens", point.tokens},
                        {"bytes_per_s", 1 / point.s_per_byte}});
    }
  }
  const KernelRates& core = m.core;
  return {{"cores", m.cores},
          {"clock_hz", m.clock_hz},
          {"memory_bytes_per_s", m.memory_bytes_per_s},
          {"core_read_bytes_per_s", core.read_bytes_per_s},
          {"handoff_s", m.handoff_s},
          {"node_barrier_s", m.node_barrier_s},
          {"cross_barrier_s", m.cross_barrier_s},
          {"matmul", matmul},
          {"walk_s_per_position", core.walk_s_per_position},
          {"absorb_s_per_head_position", core.absorb_s_per_head_position},
          {"norm_s_per_float", core.norm_s_per_float},
          {"quantize_s_per_float", core.quantize_s_per_float},
          {"partial_s_per_float", core.partial_s_per_float},
          {"merge_s_per_float", core.merge_s_per_float},
          {"store_s_per_latent", core.store_s_per_latent},
          {"route_s_per_expert", core.route_s_per_expert},
          {"add_s_per_float", core.add_s_per_float}};
}

template <typename Row>
nlohmann::json AsJson(const std::vector<Row>& rows) {
  nlohmann::json array = nlohmann::json::array();
  for (const Row& row : rows) array.push_back(AsJson(row));
  return array;
}

}  // namespace

nlohmann::json NumaReportAsJson(const NumaReport& report) {
  nlohmann::json weights = nlohmann::json::object();
  for (const auto& [model, bytes] : report.weights_bytes) {
    weights[model] = bytes;
  }
  return {{"cpu", report.cpu},
          {"isa", report.isa},
          {"kv", report.kv_type},
          {"measured", AsJson(report.measured)},
          {"weights_bytes", weights},
          {"servers", AsJson(report.servers)},
          {"depths", AsJson(report.depths)},
          {"batches", AsJson(report.batches)},
          {"attention", AsJson(report.attention)},
          {"validation", AsJson(report.validation)},
          {"assumptions", ModelAssumptions()}};
}

}  // namespace mlad
