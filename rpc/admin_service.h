// mlad.v1.Admin.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "mlad/v1/admin.grpc.pb.h"

#include "rpc/server_state.h"
#include "rpc/unary_call.h"
#include "rpc/work_queue.h"

namespace mlad {

/// All methods take bytes: see wire_message.h.
using RawAdminService = v1::Admin::WithRawCallbackMethod_GetStats<
    v1::Admin::WithRawCallbackMethod_WatchStats<
        v1::Admin::WithRawCallbackMethod_GetTopology<
            v1::Admin::WithRawCallbackMethod_GetModelInfo<
                v1::Admin::WithRawCallbackMethod_GetExperts<
                    v1::Admin::WithRawCallbackMethod_SaveSession<
                        v1::Admin::WithRawCallbackMethod_ListSessions<
                            v1::Admin::WithRawCallbackMethod_RestoreSession<
                                v1::Admin::WithRawCallbackMethod_DropSession<
                                    v1::Admin::Service>>>>>>>>>;

class AdminService final : public RawAdminService {
 public:
  /// Both outlive the service.
  AdminService(ServerState& state, WorkQueue& queue)
      : state_(state), queue_(queue) {}

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
  grpc::ServerUnaryReactor* SaveSession(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListSessions(grpc::CallbackServerContext* context,
                                         const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* RestoreSession(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* request,
                                           grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* DropSession(grpc::CallbackServerContext* context,
                                        const grpc::ByteBuffer* request,
                                        grpc::ByteBuffer* response) override;

 private:
  /// Answers an administrator on the work queue.
  grpc::ServerUnaryReactor* StartSlow(grpc::CallbackServerContext* context,
                                      const grpc::ByteBuffer* request,
                                      grpc::ByteBuffer* response,
                                      UnaryCall::Answer answer);

  ServerState& state_;
  WorkQueue& queue_;
};

}  // namespace mlad
