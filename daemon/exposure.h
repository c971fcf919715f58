// Whom an address lets in.
#pragma once

#include "absl/status/status.h"

#include "rpc/listen_address.h"
#include "rpc/server.h"

namespace mlad {

/// Only programs on this machine can connect there: a unix socket, or a host
/// all of whose addresses are loopback ones.
bool IsLocal(const ListenAddress& address);

/// Errors: kInvalidArgument for an address beyond this machine without TLS or
/// without knowing who calls (a client_ca, or access rules).
absl::Status CheckExposure(const ServerOptions& options);

}  // namespace mlad
