// mlad.v1.Admin.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "mlad/v1/admin.grpc.pb.h"

#include "rpc/server_state.h"

namespace mlad {

/// All methods take bytes: see wire_message.h.
using RawAdminService = v1::Admin::WithRawCallbackMethod_GetStats<
    v1::Admin::WithRawCallbackMethod_WatchStats<
        v1::Admin::WithRawCallbackMethod_GetTopology<
            v1::Admin::WithRawCallbackMethod_GetModelInfo<
                v1::Admin::WithRawCallbackMethod_GetExperts<
                    v1::Admin::Service>>>>>;

class AdminService final : public RawAdminService {
 public:
  /// state outlives the service.
  explicit AdminService(ServerState& state) : state_(state) {}

  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* WatchStats(
      grpc::CallbackServerContext* context,
      const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* GetTopology(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* GetModelInfo(grpc::CallbackServerContext* context,
                                         const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* GetExperts(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;

 private:
  ServerState& state_;
};

}  // namespace mlad
