// Command-line options as fields of a request.
#pragma once

#include "absl/status/statusor.h"
#include "mlad/v1/inference.pb.h"

#include "ctl/options.h"

namespace mlad {

/// Only what was given is set: the daemon has the defaults.
/// Errors: kInvalidArgument for a malformed bias, a file that cannot be read,
/// and more than one of JSON mode, schema and grammar.
absl::StatusOr<v1::GenerationOptions> MakeGenerationOptions(
    const SamplingOptions& options);

}  // namespace mlad
