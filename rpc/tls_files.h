// Certificates and keys in files.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/security/credentials.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace mlad {

/// Paths of PEM files.
struct ServerTlsFiles {
  std::string certificate;  // the daemon's, then those between it and a root
  std::string key;
  std::string client_ca;  // roots of clients' certificates; empty: none asked
};

struct ClientTlsFiles {
  std::string ca;           // roots that are trusted; empty: the system's
  std::string certificate;  // the client's own; empty: none
  std::string key;
};

/// What is in those files.
struct ServerTlsPems {
  std::string certificate;
  std::string key;
  std::string client_ca;  // empty: none asked

  bool operator==(const ServerTlsPems&) const = default;
};

/// Errors: kNotFound and kPermissionDenied for files that cannot be read;
/// kInvalidArgument for what is no PEM or a key of another certificate.
absl::StatusOr<ServerTlsPems> ReadTlsFiles(const ServerTlsFiles& files);

/// When the daemon's certificate expires, which may be in the past.
/// Errors: as of ReadTlsFiles.
absl::StatusOr<absl::Time> CheckTlsFiles(const ServerTlsFiles& files);

/// Errors: as of ReadTlsFiles.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>>
MakeChannelCredentials(const ClientTlsFiles& files);

}  // namespace mlad
