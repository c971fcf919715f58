// Opening the model that the options name.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "daemon/options.h"
#include "model/gguf_file.h"
#include "model/hyperparameters.h"

namespace mlad {

struct ModelSource {
  std::string path;
  std::unique_ptr<GgufFile> file;
  Hyperparameters shape;
};

/// Opens options.model, or the demo model that comes with the program.
/// Errors: kNotFound when there is no demo model; those of GgufFile::Open and
/// ReadHyperparameters.
absl::StatusOr<ModelSource> OpenModel(const ModelOptions& options,
                                      bool header_only);

}  // namespace mlad
