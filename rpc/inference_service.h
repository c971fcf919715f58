// mlad.v1.Inference.
#pragma once

#include <cstdint>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "mlad/v1/inference.grpc.pb.h"

#include "rpc/generation_call.h"
#include "rpc/server_state.h"
#include "rpc/stream_reactor.h"
#include "rpc/unary_call.h"
#include "rpc/work_queue.h"

namespace mlad {

/// All methods take bytes: see wire_message.h.
using RawInferenceService = v1::Inference::WithRawCallbackMethod_Generate<
    v1::Inference::WithRawCallbackMethod_Chat<
        v1::Inference::WithRawCallbackMethod_Score<
            v1::Inference::WithRawCallbackMethod_Tokenize<
                v1::Inference::WithRawCallbackMethod_Detokenize<
                    v1::Inference::Service>>>>>;

class InferenceService final : public RawInferenceService {
 public:
  /// state and queue outlive the service.
  /// `limits`: of each stream. `max_tokens`: of an answer; 0: no limit.
  InferenceService(ServerState& state, WorkQueue& queue,
                   const StreamReactor::Limits& limits, int64_t max_tokens)
      : state_(state),
        queue_(queue),
        limits_(limits),
        max_tokens_(max_tokens) {}

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Generate(
      grpc::CallbackServerContext* context,
      const grpc::ByteBuffer* request) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Chat(
      grpc::CallbackServerContext* context,
      const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;

 private:
  StreamReactor* StartGeneration(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 GenerationReader reader);

  ServerState& state_;
  WorkQueue& queue_;
  const StreamReactor::Limits limits_;
  const int64_t max_tokens_;
};

}  // namespace mlad
