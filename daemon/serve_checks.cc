#include "daemon/serve_checks.h"

#include <cstdlib>
#include <string>

#include "base/status.h"
#include "daemon/version.h"
#include "rpc/listen_address.h"

namespace mlad {

absl::StatusOr<ServeInputs> CheckServeOptions(const ServeOptions& options,
                                              bool header_only) {
  ServeInputs inputs;
  const char* const isa = std::getenv("MLAD_ISA");
  MLAD_ASSIGN_OR_RETURN(inputs.kernels,
                        SelectKernels(isa == nullptr ? "" : isa));
  MLAD_RETURN_IF_ERROR(ParseKvType(options.model.kv).status());
  MLAD_RETURN_IF_ERROR(MakeExpertPlan(options.model).status());
  inputs.server.daemon_version = kVersion;
  inputs.server.addresses.clear();
  for (const std::string& address : options.listen) {
    MLAD_ASSIGN_OR_RETURN(inputs.server.addresses.emplace_back(),
                          ParseListenAddress(address));
  }
  MLAD_ASSIGN_OR_RETURN(inputs.source, OpenModel(options.model, header_only));
  return inputs;
}

}  // namespace mlad
