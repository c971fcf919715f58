// numa_model: decode speed on servers with several NUMA nodes, from what this
// machine was measured to do.
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "bench/machine_limits.h"
#include "bench/measured_rates.h"
#include "bench/numa_report.h"
#include "bench/numa_validation.h"

namespace mlad {
namespace {

struct ModelOptions {
  std::string kv = "q8_kv";
  std::string validate;
  std::string svg;
  bool json = false;
};

absl::Status WriteCharts(const NumaReport& report, const std::string& folder) {
  for (const auto& [name, chart] : NumaCharts(report)) {
    const std::string path = absl::StrCat(folder, "/", name);
    std::ofstream out(path);
    out << ChartAsSvg(chart);
    out.close();
    if (!out) {
      return absl::InvalidArgumentError(absl::StrCat(
          "cannot write ", path, "; --svg takes a folder that exists"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<NumaReport> Run(const ModelOptions& options) {
  const char* isa = std::getenv("MLAD_ISA");
  MLAD_ASSIGN_OR_RETURN(const KernelTable* kernels,
                        SelectKernels(isa == nullptr ? "" : isa));
  MLAD_ASSIGN_OR_RETURN(const KvType kv_type, ParseKvType(options.kv));
  MLAD_ASSIGN_OR_RETURN(const MeasuredRates measured,
                        MeasureRates(*kernels, kv_type));
  MLAD_ASSIGN_OR_RETURN(NumaReport report, MakeNumaReport(measured, kv_type));
  report.cpu = CpuName();
  report.isa = IsaName(kernels->isa);
  if (!options.validate.empty()) {
    MLAD_ASSIGN_OR_RETURN(
        report.validation,
        ValidateModel(options.validate, *kernels, kv_type, measured));
  }
  if (!options.svg.empty()) {
    MLAD_RETURN_IF_ERROR(WriteCharts(report, options.svg));
  }
  return report;
}

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  mlad::ModelOptions options;
  CLI::App app(
      "Predicts decode speed and the second socket's gain on dual-socket "
      "servers from rates measured on this machine.",
      "numa_model");
  app.add_option("--kv", options.kv, "f16, bf16, q8_0, q8_kv or q6_0")
      ->capture_default_str();
  app.add_option("--validate", options.validate,
                 "Also run four layers of V2-Lite here and print the error; "
                 "the file (1.3 GB) is made if it does not exist");
  app.add_option("--svg", options.svg, "Folder to write the curves to");
  app.add_flag("--json", options.json, "Print JSON instead of tables");
  app.footer(
      "Measures for some seconds: nothing else should run.\n\nExample:\n  "
      "numa_model --validate build/lite4.gguf --svg docs > "
      "docs/numa_model_results.md");
  CLI11_PARSE(app, argc, argv);
  const auto report = mlad::Run(options);
  if (!report.ok()) {
    std::cerr << "numa_model: " << report.status().message() << "\n";
    return absl::IsInvalidArgument(report.status()) ? 2 : 1;
  }
  if (options.json) {
    std::cout << mlad::NumaReportAsJson(*report).dump(2) << "\n";
  } else {
    std::cout << mlad::NumaReportAsText(*report);
  }
  return 0;
}
