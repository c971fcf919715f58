// What the NUMA model says of the published models and servers.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

#include "bench/line_chart.h"
#include "bench/numa_model.h"
#include "bench/numa_validation.h"

namespace mlad {

inline constexpr size_t kLayouts = std::size(kAllMemoryLayouts);

/// One model at one precision.
struct ModelChoice {
  std::string name;
  SynthShape shape;
  SynthTypes types;
};
/// V2-Lite, V3 and Kimi-K2 at 4.5 and 8.5 bits per weight.
std::vector<ModelChoice> ModelChoices();

/// One step on a server: with one socket (sliced), and with both.
struct ServerRow {
  std::string model, machine;
  int64_t batch = 1;
  int64_t depth = 0;
  PredictedStep one_socket;
  std::array<PredictedStep, kLayouts> both;  // as kAllMemoryLayouts

  double Gain(size_t layout) const {
    return both[layout].tokens_per_s / one_socket.tokens_per_s;
  }
};

/// The three splits of attention on both sockets, experts sliced.
struct AttentionRow {
  std::string model, machine;
  int64_t depth = 0;
  std::array<PredictedStep, 3> splits;  // positions, heads, heads mirrored
};

struct NumaReport {
  std::string cpu, isa, kv_type;
  MeasuredRates measured;
  std::vector<std::pair<std::string, double>> weights_bytes;  // by model
  std::vector<ServerRow> servers;  // all, one sequence, one depth
  std::vector<ServerRow> depths;   // V3 at 4.5 bits, 1k to 128k
  std::vector<ServerRow> batches;  // V3 at 4.5 bits, 1 to 64 sequences
  std::vector<AttentionRow> attention;
  std::vector<ValidationRow> validation;
};

/// Fills everything but cpu, isa and validation.
/// Errors: those of PredictStep.
absl::StatusOr<NumaReport> MakeNumaReport(const MeasuredRates& measured,
                                          KvType kv_type);

/// Markdown that reads as plain text.
std::string NumaReportAsText(const NumaReport& report);
nlohmann::json NumaReportAsJson(const NumaReport& report);
/// Charts with the names of their files.
std::vector<std::pair<std::string, LineChart>> NumaCharts(
    const NumaReport& report);

}  // namespace mlad
