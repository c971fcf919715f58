// Calls with one answer: by one function on a work queue, or at once.
#pragma once

#include <utility>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "rpc/server_state.h"
#include "rpc/work_queue.h"

namespace mlad {

/// Deletes itself when the call is done.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  using Answer = absl::StatusOr<grpc::ByteBuffer> (*)(
      const grpc::ByteBuffer& request, const ServedModel& model);
  struct Params {
    CallTicket ticket;
    const grpc::ByteBuffer* request = nullptr;  // outlives the call
    grpc::ByteBuffer* response = nullptr;       // the same
    Answer answer = nullptr;
  };

  /// What the service method returns.
  static UnaryCall* Start(Params params, WorkQueue& queue);

 private:
  explicit UnaryCall(Params params) : params_(std::move(params)) {}
  void OnDone() override;
  void Run();

  Params params_;
};

/// Admits the call and answers it on the queue, or ends it at once.
grpc::ServerUnaryReactor* StartUnary(ServerState& state, WorkQueue& queue,
                                     grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response,
                                     UnaryCall::Answer answer);

/// A call that ends at once.
grpc::ServerUnaryReactor* FinishUnary(grpc::CallbackServerContext* context,
                                      const absl::Status& status);

/// A call that is answered at once: with `answer`, or its error.
grpc::ServerUnaryReactor* AnswerUnary(grpc::CallbackServerContext* context,
                                      absl::StatusOr<grpc::ByteBuffer> answer,
                                      grpc::ByteBuffer* response);

}  // namespace mlad
