// One Score call.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "absl/status/statusor.h"

#include "engine/engine.h"
#include "rpc/engine_request.h"
#include "rpc/server_state.h"
#include "rpc/work_queue.h"

namespace mlad {

/// Lives until gRPC and the engine have let go of it.
class ScoreCall final : public grpc::ServerUnaryReactor,
                        public ScoreObserver,
                        public std::enable_shared_from_this<ScoreCall> {
 public:
  struct Params {
    CallTicket ticket;
    const grpc::CallbackServerContext* context = nullptr;  // outlives the call
    const grpc::ByteBuffer* request = nullptr;             // the same
    grpc::ByteBuffer* response = nullptr;                  // the same
    WorkQueue* queue = nullptr;  // builds the response
  };
  explicit ScoreCall(Params params) : params_(std::move(params)) {}

  /// Starts the call on its queue; what the service method returns.
  static ScoreCall* Start(Params params);

  void OnProgress(int64_t /*done*/, int64_t /*total*/) override {}
  void OnFinish(const absl::StatusOr<ScoreResult>& result) override;

 private:
  void OnCancel() override { engine_request_.Cancel(); }
  void OnDone() override;
  void Submit();
  absl::Status SubmitOrError();

  Params params_;
  std::shared_ptr<ScoreCall> self_;  // until OnDone
  EngineRequest engine_request_;
  std::vector<int32_t> tokens_;
};

}  // namespace mlad
