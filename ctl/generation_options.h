// Command-line options as fields of a request.
#pragma once

#include "mlad/v1/inference.pb.h"

#include "ctl/options.h"

namespace mlad {

/// Only what was given is set: the daemon has the defaults.
v1::GenerationOptions MakeGenerationOptions(const SamplingOptions& options);

}  // namespace mlad
