// One Generate or Chat call, from the request's bytes to the last message.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/status/statusor.h"
#include "mlad/v1/inference.pb.h"

#include "engine/engine.h"
#include "rpc/engine_request.h"
#include "rpc/request_reading.h"
#include "rpc/server_state.h"
#include "rpc/stream_reactor.h"

namespace mlad {

/// ReadGenerateRequest or ReadChatRequest.
using GenerationReader = absl::StatusOr<GenerationOrder> (*)(
    const grpc::ByteBuffer& bytes, const ServedModel& model);

/// The engine's delivery thread hands over events; they wait in the stream for
/// a client that reads slowly. While it is behind, its request pauses.
class GenerationCall final : public StreamReactor, public GenerationObserver {
 public:
  struct Params {
    CallTicket ticket;
    const grpc::CallbackServerContext* context = nullptr;  // outlives the call
    const grpc::ByteBuffer* request = nullptr;             // the same
    GenerationReader reader = nullptr;
    Limits limits;           // of the stream
    int64_t max_tokens = 0;  // of any client's answer; 0: no limit
  };
  explicit GenerationCall(Params params);

  /// Reads the request and gives it to the engine; on a thread that may take
  /// its time. Once.
  void Submit();

  void OnPromptProgress(int64_t done, int64_t total) override;
  void OnPromptLogprobs(int64_t first, const ScoreResult& result) override;
  void OnToken(const TokenEvent& event) override;
  void OnFinish(const absl::StatusOr<FinishEvent>& result) override;

 private:
  void OnClientGone() override { engine_request_.Cancel(); }
  void OnBehind(bool behind) override { engine_request_.SetPaused(behind); }
  void OnReaderStuck() override { params_.context->TryCancel(); }
  void OnCallDone() override { params_.ticket.Release(); }
  absl::Status SubmitOrError();
  /// Before any other message of the stream, if it was asked for.
  void SendEcho();
  /// How the call ends after the engine has finished normally or stopped.
  absl::Status FinalStatus(FinishReason reason) const;

  Params params_;
  EngineRequest engine_request_;
  bool with_logprobs_ = false;
  bool echo_ = false;
  std::vector<int32_t> prompt_;  // with echo or its log-probabilities
};

}  // namespace mlad
