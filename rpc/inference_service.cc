#include "rpc/inference_service.h"

#include <memory>
#include <utility>

#include "rpc/request_reading.h"
#include "rpc/score_call.h"
#include "rpc/stream_reactor.h"

namespace mlad {

StreamReactor* InferenceService::StartGeneration(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    GenerationReader reader) {
  absl::StatusOr<CallTicket> ticket = state_.Admit(*context);
  if (!ticket.ok()) return StreamReactor::Refuse(ticket.status());
  auto call = std::make_shared<GenerationCall>(
      GenerationCall::Params{.ticket = *std::move(ticket),
                             .context = context,
                             .request = request,
                             .reader = reader,
                             .limits = limits_,
                             .max_tokens = max_tokens_});
  if (!queue_.TryPush([call] { call->Submit(); })) {
    return StreamReactor::Refuse(WorkQueue::FullError());
  }
  return StreamReactor::StartCall(std::move(call));
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* InferenceService::Generate(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  return StartGeneration(context, request, ReadGenerateRequest);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* InferenceService::Chat(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  return StartGeneration(context, request, ReadChatRequest);
}

grpc::ServerUnaryReactor* InferenceService::Score(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  absl::StatusOr<CallTicket> ticket = state_.Admit(*context);
  if (!ticket.ok()) return FinishUnary(context, ticket.status());
  return ScoreCall::Start({.ticket = *std::move(ticket),
                           .context = context,
                           .request = request,
                           .response = response,
                           .queue = &queue_});
}

grpc::ServerUnaryReactor* InferenceService::Tokenize(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartUnary(state_, queue_, context, request, response, AnswerTokenize);
}

grpc::ServerUnaryReactor* InferenceService::Detokenize(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartUnary(state_, queue_, context, request, response,
                    AnswerDetokenize);
}

}  // namespace mlad
