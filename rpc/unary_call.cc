#include "rpc/unary_call.h"

#include "rpc/status_mapping.h"

namespace mlad {

UnaryCall* UnaryCall::Start(Params params, WorkQueue& queue) {
  auto* call = new UnaryCall(std::move(params));
  if (!queue.TryPush([call] { call->Run(); })) {
    call->Finish(ToGrpcStatus(WorkQueue::FullError()));
  }
  return call;
}

void UnaryCall::Run() {
  absl::StatusOr<grpc::ByteBuffer> answer =
      params_.answer(*params_.request, params_.ticket.model());
  const absl::Status status = answer.status();
  if (status.ok()) *params_.response = *std::move(answer);
  Finish(ToGrpcStatus(status));
}

void UnaryCall::OnDone() {
  params_.ticket.Release();
  delete this;
}

grpc::ServerUnaryReactor* StartUnary(ServerState& state, WorkQueue& queue,
                                     grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response,
                                     UnaryCall::Answer answer) {
  absl::StatusOr<CallTicket> ticket = state.Admit(*context);
  if (!ticket.ok()) return FinishUnary(context, ticket.status());
  return UnaryCall::Start({.ticket = *std::move(ticket),
                           .request = request,
                           .response = response,
                           .answer = answer},
                          queue);
}

grpc::ServerUnaryReactor* FinishUnary(grpc::CallbackServerContext* context,
                                      const absl::Status& status) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

grpc::ServerUnaryReactor* AnswerUnary(grpc::CallbackServerContext* context,
                                      absl::StatusOr<grpc::ByteBuffer> answer,
                                      grpc::ByteBuffer* response) {
  const absl::Status status = answer.status();
  if (status.ok()) *response = *std::move(answer);
  return FinishUnary(context, status);
}

}  // namespace mlad
