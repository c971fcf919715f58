// mla-bench: prompt and generation speed of a model on this machine.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "absl/strings/str_format.h"

#include "base/status.h"
#include "bench/bench_output.h"
#include "bench/bench_runner.h"
#include "bench/machine_limits.h"
#include "kernels/kernels.h"
#include "model/loaded_model.h"
#include "numa/executor.h"
#include "numa/topology.h"

namespace mlad {
namespace {

struct BenchOptions {
  std::string model;
  std::string kv = "q8_kv";
  std::string moe_placement = "sliced";
  int64_t replicate_experts = 0;
  TopologyOptions topology;
  BenchPlan plan;
  bool json = false;
};

std::string CpuName() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "an unknown CPU";
}

void ShowProgress(const std::string& what, double done) {
  if (isatty(2) != 1) return;
  std::cerr << absl::StreamFormat("\r\x1b[K%3.0f%% %s", 100 * done, what)
            << std::flush;
}

absl::StatusOr<BenchReport> Run(const BenchOptions& options) {
  BenchReport report;
  const char* isa = std::getenv("MLAD_ISA");
  LoadOptions load;
  MLAD_ASSIGN_OR_RETURN(load.kernels, SelectKernels(isa == nullptr ? "" : isa));
  MLAD_ASSIGN_OR_RETURN(load.kv_type, ParseKvType(options.kv));
  MLAD_ASSIGN_OR_RETURN(load.experts.placement,
                        ParseMoePlacement(options.moe_placement));
  load.experts.replicas = options.replicate_experts;
  load.cache_tokens = options.plan.CacheTokens();
  MLAD_ASSIGN_OR_RETURN(const auto file, GgufFile::Open(options.model, {}));
  MLAD_ASSIGN_OR_RETURN(const auto topology,
                        Topology::Create(options.topology));
  MLAD_ASSIGN_OR_RETURN(const auto executor, Executor::Create(*topology));
  ShowProgress("measuring bandwidth", 0);
  MLAD_ASSIGN_OR_RETURN(report.bandwidth_bytes_per_s,
                        MeasureReadBandwidth(*topology, *executor));
  ShowProgress("loading", 0);
  const auto begin = std::chrono::steady_clock::now();
  MLAD_ASSIGN_OR_RETURN(const auto model,
                        LoadedModel::Load(*file, *topology, *executor, load));
  report.load_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  report.model = model->shape().name;
  report.isa = IsaName(load.kernels->isa);
  report.kv_type = options.kv;
  report.cpu = CpuName();
  report.nodes = topology->node_count();
  report.workers = 0;
  for (int node = 0; node < executor->nodes(); ++node) {
    report.workers += executor->workers(node);
  }
  report.weights_bytes = model->plan().weights_bytes;
  report.kv_bytes_capacity = model->plan().kv_bytes_capacity;
  report.compute_bytes = model->plan().compute_bytes;
  report.rows = BenchRunner(*model, *executor).Run(options.plan, ShowProgress);
  if (isatty(2) == 1) std::cerr << "\r\x1b[K";
  return report;
}

void AddOptions(CLI::App& app, BenchOptions& options) {
  app.add_option("--model", options.model, "GGUF file")->required();
  app.add_option("--nodes", options.topology.nodes,
                 "NUMA nodes, 0 for all; more are simulated");
  app.add_option("--threads-per-node", options.topology.threads_per_node,
                 "Workers per node, 0 for one per core");
  app.add_option("--kv", options.kv, "f16, bf16, q8_0, q8_kv or q6_0")
      ->capture_default_str();
  app.add_option("--moe-placement", options.moe_placement,
                 "Experts on the nodes: sliced, whole or auto")
      ->capture_default_str();
  app.add_option("--replicate-experts", options.replicate_experts,
                 "With whole experts: replicas per layer on every node")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  const auto sizes = [&](const std::string& name, std::vector<int64_t>& list,
                         const std::string& help, int64_t least) {
    app.add_option(name, list, help)
        ->delimiter(',')
        ->check(CLI::Range(least, int64_t{1} << 24));
  };
  sizes("--pp", options.plan.prompts, "Prompt lengths: 512,4096", 1);
  sizes("--tg", options.plan.generations, "Tokens to generate: 64", 1);
  sizes("--depth", options.plan.depths,
        "Tokens in the cache before generating: 0,4096", 0);
  sizes("--batch", options.plan.batches, "Sequences at once, 1 to 64: 1,8", 1);
  app.add_option("--reps", options.plan.repetitions, "Repetitions of each test")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print JSON instead of a table");
  app.footer(
      "Medians over the repetitions, after a warm-up; MB/token is what the "
      "workers read.\n\nExample:\n  mla-bench --model lite.gguf --kv q8_kv "
      "--pp 512,4096 --tg 64 --depth 128,4096");
}

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  mlad::BenchOptions options;
  CLI::App app("Measures prompt and generation speed.", "mla-bench");
  mlad::AddOptions(app, options);
  CLI11_PARSE(app, argc, argv);
  if (options.plan.prompts.empty() && options.plan.generations.empty()) {
    options.plan.prompts = {512};
    options.plan.generations = {64};
  }
  const auto report = mlad::Run(options);
  if (!report.ok()) {
    std::cerr << "mla-bench: " << report.status().message() << "\n";
    return absl::IsInvalidArgument(report.status()) ? 2 : 1;
  }
  if (options.json) {
    std::cout << mlad::ReportAsJson(*report).dump(2) << "\n";
  } else {
    std::cout << mlad::ReportAsText(*report);
  }
  return 0;
}
