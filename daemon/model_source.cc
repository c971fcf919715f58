#include "daemon/model_source.h"

#include <filesystem>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

constexpr char kDemoModel[] = "tiny-mla-21m-q8_0.gguf";

/// Beside the build folder of a checkout, or where packages put it.
absl::StatusOr<std::string> FindDemoModel() {
  std::error_code error;
  const std::filesystem::path program =
      std::filesystem::read_symlink("/proc/self/exe", error);
  for (const char* folder : {"../../../deploy/demo", "../share/mlad/demo",
                             "../../share/mlad/demo"}) {
    const std::filesystem::path candidate =
        (program.parent_path() / folder / kDemoModel).lexically_normal();
    if (std::filesystem::is_regular_file(candidate, error)) {
      return candidate.string();
    }
  }
  return absl::NotFoundError(absl::StrCat(
      "the demo model ", kDemoModel,
      " is not beside this program; name a GGUF file with --model"));
}

}  // namespace

absl::StatusOr<ModelSource> OpenModel(const ModelOptions& options,
                                      bool header_only) {
  ModelSource source;
  source.path = options.model;
  if (source.path.empty()) {
    MLAD_ASSIGN_OR_RETURN(source.path, FindDemoModel());
  }
  GgufFile::Options open_options;
  open_options.header_only = header_only;
  MLAD_ASSIGN_OR_RETURN(source.file, GgufFile::Open(source.path, open_options));
  MLAD_ASSIGN_OR_RETURN(source.shape, ReadHyperparameters(*source.file));
  return source;
}

}  // namespace mlad
