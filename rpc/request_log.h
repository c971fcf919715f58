// One record of every call, and what ties it to the caller's own records.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <grpcpp/support/server_interceptor.h>
#include <grpcpp/support/status.h>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace mlad {

/// Nothing in it is secret or of the request's text.
struct RequestRecord {
  std::string method;  // "mlad.v1.Inference/Generate"
  /// The client's metadata "x-request-id" if it is up to 64 letters, digits,
  /// '-', '_' and '.', else a random one; sent back under the same name.
  std::string id;
  std::string trace;  // of "traceparent", 32 hexadecimal digits; or empty
  std::string peer;   // address, as gRPC writes it
  grpc::StatusCode code = grpc::StatusCode::OK;
  absl::Duration duration;
};

/// Called when a call's status is sent, on gRPC's threads. Must not block.
using RequestSink = std::function<void(const RequestRecord&)>;

/// For ServerBuilder::experimental().SetInterceptorCreators.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
MakeRequestLog(RequestSink sink);

/// The trace id of a W3C Trace Context, version 00 or a later one; empty when
/// it is malformed (www.w3.org/TR/trace-context).
std::string TraceIdOf(absl::string_view traceparent);

}  // namespace mlad
