// Finds out why the daemon cannot listen. gRPC itself only logs it, and it
// takes over the unix socket of a daemon that is still running.
#pragma once

#include "absl/status/status.h"

#include "rpc/listen_address.h"

namespace mlad {

/// OK when nothing stands in the way of listening there; a stale unix socket is
/// removed.
/// Errors: kInvalidArgument for a host that does not resolve; kAlreadyExists
/// when something else listens there or the path is no socket; kNotFound for
/// the folder of a unix socket; kPermissionDenied; kUnavailable for the rest.
absl::Status CheckCanListen(const ListenAddress& address);

}  // namespace mlad
