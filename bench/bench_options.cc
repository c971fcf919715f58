#include "bench/bench_options.h"

#include <cstdint>
#include <vector>

#include "base/status.h"

namespace mlad {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 24;
constexpr int64_t kLargestBatch = 64;  // spans of a step

void AddModelOptions(CLI::App& app, BenchOptions& options) {
  app.add_option("--model", options.model, "GGUF file (required)");
  app.add_option("--nodes", options.topology.nodes,
                 "NUMA nodes, 0 for all; more are simulated");
  app.add_option("--threads-per-node", options.topology.threads_per_node,
                 "Workers per node, 0 for one per core");
  app.add_option("--kv", options.kv, "f16, bf16, q8_0, q8_kv or q6_0")
      ->capture_default_str();
  app.add_option("--context", options.plan.context,
                 "Room in the cache for so many tokens at least")
      ->check(CLI::Range(int64_t{0}, kMostTokens));
  app.add_option("--moe-placement", options.moe_placement,
                 "Experts on the nodes: sliced, whole or auto")
      ->capture_default_str();
  app.add_option("--replicate-experts", options.replicate_experts,
                 "With whole experts: replicas per layer on every node")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

void AddTestOptions(CLI::App& app, BenchOptions& options) {
  const auto list = [&](const std::string& name, std::vector<int64_t>& values,
                        const std::string& help, const CLI::Range& range) {
    app.add_option(name, values, help)->delimiter(',')->check(range);
  };
  BenchPlan& plan = options.plan;
  const CLI::Range lengths(int64_t{1}, kMostTokens);
  const CLI::Range depths(int64_t{0}, kMostTokens);
  list("--pp", plan.prompts, "Prompt lengths: 512,4096", lengths);
  list("--pp-depth", plan.prompt_depths,
       "Tokens in the cache before the prompt: 0,4096", depths);
  list("--tg", plan.generations, "Tokens to generate: 64", lengths);
  list("--depth", plan.depths, "Tokens in the cache before generating: 0,4096",
       depths);
  list("--batch", plan.batches, "Sequences that generate at once: 1,8,64",
       CLI::Range(int64_t{1}, kLargestBatch));
  app.add_option("--fill", options.fill,
                 "Before a test the cache holds a prompt's latents (prompt) or "
                 "made-up ones (random), which takes no time")
      ->capture_default_str();
  app.add_option("--reps", plan.repetitions, "Repetitions of each test")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
}

}  // namespace

void AddBenchOptions(CLI::App& app, BenchOptions& options) {
  AddModelOptions(app, options);
  AddTestOptions(app, options);
  auto* json = app.add_flag("--json", options.json, "Print JSON");
  app.add_flag("--markdown", options.markdown, "Print a Markdown table")
      ->excludes(json);
  app.add_option("--plot", options.plot,
                 "Also draw speed against depth, as SVG, to this file");
  app.footer(
      "Medians over the repetitions, after a warm-up. MB/token is what the "
      "workers read;\n\"of limit\" compares with this machine's read bandwidth "
      "or arithmetic peak, measured\nin the same run. MLAD_ISA=avx2 forces "
      "kernels.\n\nExample:\n  mla-bench --model lite.gguf --kv q8_kv --pp "
      "512,4096 --tg 64 --depth 128,4096 \\\n            --batch 1,8 --plot "
      "lite.svg\n\n"
      "'mla-bench serve --help' is about loads on a running daemon.");
}

absl::Status CompleteBenchOptions(BenchOptions& options) {
  if (options.model.empty()) {
    return absl::InvalidArgumentError("name a GGUF file with --model");
  }
  BenchPlan& plan = options.plan;
  MLAD_ASSIGN_OR_RETURN(plan.fill, ParseCacheFill(options.fill));
  if (plan.prompts.empty() && plan.generations.empty()) {
    plan.prompts = {512};
    plan.generations = {64};
  }
  return absl::OkStatus();
}

}  // namespace mlad
