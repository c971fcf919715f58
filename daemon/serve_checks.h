// What can be known to be wrong before anything is loaded or listened on.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "daemon/model_source.h"
#include "daemon/options.h"
#include "kernels/kernels.h"
#include "rpc/listen_address.h"
#include "rpc/server.h"

namespace mlad {

/// What `serve` starts from.
struct ServeInputs {
  const KernelTable* kernels = nullptr;
  ModelSource source;
  ServerOptions server;
  std::optional<ListenAddress> metrics;
  /// Of the daemon's certificate; without TLS never. May be in the past.
  absl::Time certificate_expiry = absl::InfiniteFuture();
};

/// Opens the model (the header alone with `header_only`) and checks every
/// option. MLAD_ISA chooses the kernels. Errors: those of SelectKernels,
/// ParseKvType, MakeExpertPlan, OpenModel, ParseListenAddress, CheckTlsFiles,
/// ReadAccessFile and CheckExposure.
absl::StatusOr<ServeInputs> CheckServeOptions(const ServeOptions& options,
                                              bool header_only);

/// The rules of the access file, or nothing when there is none. Errors: those
/// of ReadAccessFile.
absl::StatusOr<std::optional<AccessRules>> ReadAccess(
    const ServeOptions& options);

}  // namespace mlad
