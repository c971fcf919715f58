// Certificates and keys in files, and the credentials that gRPC makes of them.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

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

/// Reads the files and returns when the daemon's certificate expires, which may
/// be in the past.
/// Errors: kNotFound and kPermissionDenied for files that cannot be read;
/// kInvalidArgument for what is no PEM or a key of another certificate.
absl::StatusOr<absl::Time> CheckTlsFiles(const ServerTlsFiles& files);

/// TLS 1.2 and 1.3. With a client_ca, clients must show a certificate that it
/// has signed. The files are read again while serving: a new pair of
/// certificate and key is in use some seconds after it was put there.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(
    const ServerTlsFiles& files);

/// Errors: as of CheckTlsFiles.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>>
MakeChannelCredentials(const ClientTlsFiles& files);

}  // namespace mlad
