// Writing a synthetic model file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

#include "bench/synth_model.h"
#include "bench/synth_shape.h"

namespace mlad {

struct SynthFile {
  std::string path;
  SynthShape shape;
  SynthTypes types;
  bool split_kv_b = true;
  uint64_t seed = 1234;
  /// Only the header, in a sparse file of the full size: enough for a plan.
  bool without_weights = false;
  std::function<void(double)> progress = {};  // 0 to 1; may be empty
};

struct SynthReport {
  int64_t tensors = 0;
  int64_t bytes = 0;  // of the file
};

/// Streams the file from as many threads as there are cores; holds some
/// megabytes only.
/// Errors: those of SynthTensors; kInvalidArgument when the file cannot be
/// opened, kResourceExhausted when it cannot be written.
absl::StatusOr<SynthReport> WriteSynthFile(const SynthFile& wanted);

}  // namespace mlad
