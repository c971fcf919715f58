// The results of mla-bench: what was measured on what, beside the machine's
// limits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/bench_plan.h"
#include "bench/machine_limits.h"

namespace mlad {

/// How near a row comes to the limit that binds it.
struct LimitShare {
  std::string limit;  // "bandwidth", "int8" or "f32"
  double percent = 0;
};

struct BenchReport {
  std::string model;        // as its file calls it
  std::string file;         // its path
  std::string weight_type;  // of most of its bytes: "IQ4_NL"
  std::string isa;
  std::string kv_type;
  std::string cpu;  // as /proc/cpuinfo calls it
  int nodes = 1;
  int workers = 1;  // of all nodes
  MachineLimits limits;
  CacheFill fill = CacheFill::kPrompt;
  double load_s = 0;
  int64_t weights_bytes = 0;
  int64_t kv_bytes_capacity = 0;
  int64_t kv_tokens = 0;  // that the capacity was asked for
  int64_t compute_bytes = 0;
  std::vector<BenchRow> rows;

  /// Of the read bandwidth; 0 for prompts: their tokens share what is read, and
  /// much of it is read from caches.
  double PercentOfBandwidth(const BenchRow& row) const;
  /// All operations against the int8 peak, the fastest there is.
  double PercentOfInt8Peak(const BenchRow& row) const;
  /// Time at the peaks (each kind of operation at its own) over time taken.
  double PercentOfComputePeak(const BenchRow& row) const;
  /// The largest of these shares: what is left to 100% is room for a better
  /// program on this machine.
  LimitShare BindingLimit(const BenchRow& row) const;
};

nlohmann::json ReportAsJson(const BenchReport& report);

}  // namespace mlad
