#include "daemon/serve_checks.h"

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "daemon/access_file.h"
#include "daemon/exposure.h"
#include "daemon/version.h"
#include "rpc/listen_address.h"

namespace mlad {
namespace {

absl::Status AddTls(const ServeOptions& options, ServeInputs& inputs) {
  if (options.tls_certificate.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError(
        "tls_certificate and tls_key go together; give both or none");
  }
  if (options.tls_certificate.empty()) {
    if (options.tls_client_ca.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "tls_client_ca needs tls_certificate and tls_key beside it");
  }
  inputs.server.tls = ServerTlsFiles{options.tls_certificate, options.tls_key,
                                     options.tls_client_ca};
  MLAD_ASSIGN_OR_RETURN(inputs.certificate_expiry,
                        CheckTlsFiles(*inputs.server.tls));
  return absl::OkStatus();
}

absl::Status AddSecurity(const ServeOptions& options, ServeInputs& inputs) {
  MLAD_RETURN_IF_ERROR(AddTls(options, inputs));
  MLAD_ASSIGN_OR_RETURN(inputs.server.access, ReadAccess(options));
  inputs.server.unix_socket_mode =
      static_cast<mode_t>(std::stoul(options.socket_mode, nullptr, /*base=*/8));
  inputs.server.max_connections = options.max_connections;
  inputs.server.max_request_bytes =
      static_cast<int>(options.max_request_mib << 20);
  if (options.insecure) return absl::OkStatus();
  return CheckExposure(inputs.server);
}

absl::Status AddMetrics(const ServeOptions& options, ServeInputs& inputs) {
  if (options.metrics.empty()) return absl::OkStatus();
  MLAD_ASSIGN_OR_RETURN(inputs.metrics, ParseListenAddress(options.metrics));
  if (options.insecure || IsLocal(*inputs.metrics)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "metrics at ", options.metrics,
      " can be read from other machines, in the clear and by anybody; give a "
      "local address, for a proxy that asks who calls, or say --insecure"));
}

}  // namespace

absl::StatusOr<std::optional<AccessRules>> ReadAccess(
    const ServeOptions& options) {
  if (options.access.empty()) return std::nullopt;
  return ReadAccessFile(options.access);
}

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
  inputs.server.max_tokens = options.max_tokens;
  inputs.server.reader_timeout = options.reader_timeout_s > 0
                                     ? absl::Seconds(options.reader_timeout_s)
                                     : absl::InfiniteDuration();
  MLAD_RETURN_IF_ERROR(AddSecurity(options, inputs));
  MLAD_RETURN_IF_ERROR(AddMetrics(options, inputs));
  MLAD_ASSIGN_OR_RETURN(inputs.source, OpenModel(options.model, header_only));
  return inputs;
}

}  // namespace mlad
