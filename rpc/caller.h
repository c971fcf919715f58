// Reads from a call who makes it.
#pragma once

#include <grpcpp/server_context.h>

#include "absl/status/statusor.h"

#include "rpc/access_rules.h"
#include "rpc/unix_peers.h"

namespace mlad {

/// Errors: kUnauthenticated for metadata 'authorization' that is not one
/// "Bearer TOKEN". The sentence does not repeat it.
absl::StatusOr<Caller> ReadCaller(const grpc::ServerContextBase& context,
                                  const UnixPeers& peers);

}  // namespace mlad
