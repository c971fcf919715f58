// mla-bench: prompt and generation speed of a model on this machine.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status.h"
#include "bench/bench_options.h"
#include "bench/bench_plot.h"
#include "bench/bench_report.h"
#include "bench/bench_runner.h"
#include "bench/bench_table.h"
#include "bench/machine_limits.h"
#include "bench/model_work.h"
#include "bench/serve_command.h"
#include "kernels/kernels.h"
#include "model/loaded_model.h"
#include "numa/executor.h"
#include "numa/topology.h"

namespace mlad {
namespace {

/// A file may call its model anything; tables and pictures may not.
std::string Printable(std::string name) {
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return !absl::ascii_isprint(static_cast<uint8_t>(c)); },
      '?');
  return name;
}

/// The type with the most bytes.
std::string MainWeightType(const GgufFile& file) {
  std::map<TensorType, int64_t> bytes;
  for (const auto& [name, tensor] : file.tensors()) {
    bytes[tensor.type] += tensor.bytes;
  }
  const auto most = std::max_element(
      bytes.begin(), bytes.end(),
      [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == bytes.end() ? ""
                             : std::string(GetTensorType(most->first).name);
}

/// A bar on a terminal, nothing elsewhere.
void ShowProgress(const std::string& what, double done) {
  if (isatty(2) != 1) return;
  constexpr int kCells = 30;
  const int full = static_cast<int>(kCells * std::clamp(done, 0.0, 1.0));
  std::cerr << absl::StreamFormat(
                   "\r\x1b[K[%s%s] %3.0f%% %s", std::string(full, '#'),
                   std::string(kCells - full, '.'), 100 * done, what)
            << std::flush;
}

void EndProgress() {
  if (isatty(2) == 1) std::cerr << "\r\x1b[K" << std::flush;
}

absl::StatusOr<LoadOptions> MakeLoadOptions(const BenchOptions& options,
                                            int nodes) {
  LoadOptions load;
  const char* isa = std::getenv("MLAD_ISA");
  MLAD_ASSIGN_OR_RETURN(load.kernels, SelectKernels(isa == nullptr ? "" : isa));
  MLAD_ASSIGN_OR_RETURN(load.kv_type, ParseKvType(options.kv));
  MLAD_ASSIGN_OR_RETURN(load.experts.placement,
                        ParseMoePlacement(options.moe_placement));
  load.experts.replicas = options.replicate_experts;
  load.cache_tokens = options.plan.CacheTokens(nodes);
  load.progress = [](double done) { ShowProgress("loading", done); };
  return load;
}

/// What the tests run on.
struct Machine {
  const Topology& topology;
  Executor& executor;
  const LoadOptions& load;
};

/// Loads the model and runs the tests; fills in what `report` says of them.
absl::Status RunTests(const BenchPlan& plan, const GgufFile& file,
                      const Hyperparameters& shape, const Machine& machine,
                      BenchReport& report) {
  const LoadOptions& load = machine.load;
  const auto begin = std::chrono::steady_clock::now();
  MLAD_ASSIGN_OR_RETURN(
      const auto model,
      LoadedModel::Load(file, machine.topology, machine.executor, load));
  report.load_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
          .count();
  report.kv_tokens = load.cache_tokens;
  report.weights_bytes = model->plan().weights_bytes;
  report.kv_bytes_capacity = model->plan().kv_bytes_capacity;
  report.compute_bytes = model->plan().compute_bytes;
  const ModelWork work(file, shape, load.kv_type);
  report.rows = BenchRunner({*model, machine.executor, *load.kernels, work},
                            plan, ShowProgress)
                    .Run();
  return absl::OkStatus();
}

absl::StatusOr<BenchReport> Run(const BenchOptions& options) {
  BenchReport report;
  MLAD_ASSIGN_OR_RETURN(const auto file, GgufFile::Open(options.model, {}));
  MLAD_ASSIGN_OR_RETURN(const auto shape, ReadHyperparameters(*file));
  MLAD_RETURN_IF_ERROR(options.plan.CheckFits(shape.max_position_embeddings));
  MLAD_ASSIGN_OR_RETURN(const auto topology,
                        Topology::Create(options.topology));
  MLAD_ASSIGN_OR_RETURN(const auto load,
                        MakeLoadOptions(options, topology->node_count()));
  MLAD_ASSIGN_OR_RETURN(const auto executor, Executor::Create(*topology));
  report.model = Printable(shape.name);
  report.file = options.model;
  report.weight_type = MainWeightType(*file);
  report.isa = IsaName(load.kernels->isa);
  report.kv_type = options.kv;
  report.fill = options.plan.fill;
  report.cpu = CpuName();
  report.nodes = topology->node_count();
  report.workers = 0;
  for (int node = 0; node < executor->nodes(); ++node) {
    report.workers += executor->workers(node);
  }
  ShowProgress("measuring the machine's limits", 0);
  MLAD_ASSIGN_OR_RETURN(report.limits,
                        MeasureLimits(*topology, *executor, *load.kernels));
  MLAD_RETURN_IF_ERROR(RunTests(options.plan, *file, shape,
                                {*topology, *executor, load}, report));
  // Once more: what else runs on the machine may have slowed the first down.
  ShowProgress("measuring the machine's limits", 1);
  MLAD_ASSIGN_OR_RETURN(const MachineLimits again,
                        MeasureLimits(*topology, *executor, *load.kernels));
  report.limits |= again;
  return report;
}

void Print(const BenchOptions& options, const BenchReport& report) {
  switch (options.format()) {
    case BenchFormat::kText:
      std::cout << ReportAsText(report);
      break;
    case BenchFormat::kMarkdown:
      std::cout << ReportAsMarkdown(report);
      break;
    case BenchFormat::kJson:
      std::cout << ReportAsJson(report).dump(
                       2, ' ', false, nlohmann::json::error_handler_t::replace)
                << "\n";
      break;
  }
}

absl::Status BenchMain(BenchOptions& options) {
  MLAD_RETURN_IF_ERROR(CompleteBenchOptions(options));
  std::ofstream plot;
  if (!options.plot.empty()) {
    plot.open(options.plot);
    if (!plot) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot write the plot to '", options.plot, "'"));
    }
  }
  const auto report = Run(options);
  EndProgress();
  if (!report.ok()) return report.status();
  Print(options, *report);
  if (plot.is_open() && !(plot << PlotAsSvg(*report) << std::flush)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("writing the plot to '", options.plot, "' failed"));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "serve") {
    return mlad::RunServeCommand(argc - 1, argv + 1);
  }
  mlad::BenchOptions options;
  CLI::App app("Measures prompt and generation speed.", "mla-bench");
  mlad::AddBenchOptions(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = mlad::BenchMain(options);
  if (!status.ok()) {
    std::cerr << "mla-bench: " << status.message() << "\n";
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  return 0;
}
