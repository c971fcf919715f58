// grpc.health.v1.Health, for the whole server ("") and for "mlad.v1.Inference".
// gRPC's own implementation would do but for reflection: see health.proto.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "grpc/health/v1/health.grpc.pb.h"

#include "rpc/server_state.h"

namespace mlad {

/// All methods take bytes: see wire_message.h.
using RawHealthService = grpc::health::v1::Health::WithRawCallbackMethod_Check<
    grpc::health::v1::Health::WithRawCallbackMethod_Watch<
        grpc::health::v1::Health::Service>>;

class HealthService final : public RawHealthService {
 public:
  /// state outlives the service.
  explicit HealthService(ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::ByteBuffer* request) override;

 private:
  ServerState& state_;
};

}  // namespace mlad
