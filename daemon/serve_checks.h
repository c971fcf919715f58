// What can be known to be wrong before anything is loaded or listened on.
#pragma once

#include "absl/status/statusor.h"

#include "daemon/model_source.h"
#include "daemon/options.h"
#include "kernels/kernels.h"
#include "rpc/server.h"

namespace mlad {

/// What `serve` starts from.
struct ServeInputs {
  const KernelTable* kernels = nullptr;
  ModelSource source;
  ServerOptions server;
};

/// Opens the model (the header alone with `header_only`) and checks every
/// option. MLAD_ISA chooses the kernels. Errors: those of SelectKernels,
/// ParseKvType, MakeExpertPlan, OpenModel and ParseListenAddress.
absl::StatusOr<ServeInputs> CheckServeOptions(const ServeOptions& options,
                                              bool header_only);

}  // namespace mlad
