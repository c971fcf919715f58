// absl::Status and grpc::Status: the codes are the same, the types are not.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace mlad {

/// A retry hint (base/retry_hint.h) travels as a google.rpc.RetryInfo in the
/// trailing metadata "grpc-status-details-bin".
grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status ToAbslStatus(const grpc::Status& status);

}  // namespace mlad
