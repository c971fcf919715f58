// mla-synth: writes a model file of a published shape with random weights.
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status.h"
#include "bench/synth_file.h"

namespace mlad {
namespace {

struct SynthOptions {
  std::string preset = "lite";
  std::string type = "q8_0";
  std::string output_type, embedding_type;
  std::string path;
  int64_t layers = 0;
  uint64_t seed = 1234;
  bool fused = false;
  bool no_groups = false;
  bool no_weights = false;
};

absl::StatusOr<TensorType> ParseTensorType(const std::string& name) {
  std::vector<std::string> known;
  for (uint32_t id = 0; id < 64; ++id) {
    const auto info = FindTensorType(id);
    if (!info.ok()) continue;
    known.push_back(absl::AsciiStrToLower(std::string(info->name)));
    if (known.back() == absl::AsciiStrToLower(name)) return info->type;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no type '", name, "'; use ", absl::StrJoin(known, ", ")));
}

absl::Status Run(const SynthOptions& options) {
  SynthFile file;
  file.path = options.path;
  MLAD_ASSIGN_OR_RETURN(file.shape, FindSynthShape(options.preset));
  if (options.layers > 0) file.shape.layers = options.layers;
  if (options.no_groups) file.shape.groups = 0;
  const auto type_or = [&](const std::string& name) {
    return ParseTensorType(name.empty() ? options.type : name);
  };
  MLAD_ASSIGN_OR_RETURN(file.types.matrices, ParseTensorType(options.type));
  MLAD_ASSIGN_OR_RETURN(file.types.output, type_or(options.output_type));
  MLAD_ASSIGN_OR_RETURN(file.types.embedding, type_or(options.embedding_type));
  file.split_kv_b = !options.fused;
  file.seed = options.seed;
  file.without_weights = options.no_weights;
  const bool terminal = isatty(2) == 1;
  if (terminal) {
    file.progress = [](double done) {
      std::cerr << absl::StreamFormat("\r%3.0f%%", 100 * done);
    };
  }
  const auto report = WriteSynthFile(file);
  if (terminal) std::cerr << "\r    \r";
  if (!report.ok()) return report.status();
  std::cout << absl::StreamFormat("%s: %d tensors, %.3f GB\n", options.path,
                                  report->tensors,
                                  static_cast<double>(report->bytes) / 1e9);
  return absl::OkStatus();
}

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  mlad::SynthOptions options;
  CLI::App app("Writes a deepseek2 GGUF file with random weights.",
               "mla-synth");
  app.add_option("--preset", options.preset, "lite, v3mini, v3 or kimi-k2")
      ->capture_default_str();
  app.add_option("--layers", options.layers, "Instead of the preset's");
  app.add_option("--type", options.type, "Of the matrices: q8_0, q4_k, ...")
      ->capture_default_str();
  app.add_option("--output-type", options.output_type,
                 "Of the output matrix (default: --type)");
  app.add_option("--embd-type", options.embedding_type,
                 "Of the embedding (default: --type)");
  app.add_flag("--fused", options.fused,
               "attn_kv_b instead of attn_k_b and attn_v_b");
  app.add_flag("--no-groups", options.no_groups, "Leave out expert groups");
  app.add_flag("--no-weights", options.no_weights,
               "Header only, in a sparse file of the full size, for 'mlad "
               "plan'");
  app.add_option("--seed", options.seed, "Of the weights")
      ->capture_default_str();
  app.add_option("-o,--output", options.path, "File to write")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = mlad::Run(options);
  if (!status.ok()) {
    std::cerr << "mla-synth: " << status.message() << "\n";
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  return 0;
}
