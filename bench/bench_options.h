// The command line of mla-bench.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "absl/status/status.h"

#include "bench/bench_plan.h"
#include "numa/topology.h"

namespace mlad {

enum class BenchFormat : uint8_t { kText, kMarkdown, kJson };

struct BenchOptions {
  std::string model;
  std::string kv = "q8_kv";
  std::string moe_placement = "sliced";
  int64_t replicate_experts = 0;
  TopologyOptions topology;
  BenchPlan plan;
  std::string fill = "prompt";
  std::string plot;  // file; empty: none
  bool json = false;
  bool markdown = false;

  BenchFormat format() const {
    if (json) return BenchFormat::kJson;
    return markdown ? BenchFormat::kMarkdown : BenchFormat::kText;
  }
};

/// `options` outlives the parsing.
void AddBenchOptions(CLI::App& app, BenchOptions& options);
/// Fills in what was not said. Errors: kInvalidArgument for what the parser
/// cannot see.
absl::Status CompleteBenchOptions(BenchOptions& options);

}  // namespace mlad
