#include "rpc/admin_service.h"

#include <memory>
#include <utility>

#include "base/status.h"
#include "rpc/admin_responses.h"
#include "rpc/session_calls.h"
#include "rpc/stats_watch.h"
#include "rpc/stream_reactor.h"
#include "rpc/unary_call.h"
#include "rpc/wire_message.h"

namespace mlad {
namespace {

absl::StatusOr<grpc::ByteBuffer> AnswerStats(
    const grpc::CallbackServerContext& context, ServerState& state,
    const grpc::ByteBuffer& bytes) {
  MLAD_RETURN_IF_ERROR(state.CheckAdmin(context));
  v1::GetStatsRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  return SerializeMessage(MakeStats(state));
}

absl::StatusOr<grpc::ByteBuffer> AnswerTopology(
    const grpc::CallbackServerContext& context, ServerState& state,
    const grpc::ByteBuffer& bytes) {
  MLAD_RETURN_IF_ERROR(state.CheckAdmin(context));
  v1::GetTopologyRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(const ServedModel* model, state.model());
  return SerializeMessage(MakeTopology(*model));
}

absl::StatusOr<grpc::ByteBuffer> AnswerModelInfo(
    const grpc::CallbackServerContext& context, ServerState& state,
    const grpc::ByteBuffer& bytes) {
  MLAD_RETURN_IF_ERROR(state.CheckAdmin(context));
  v1::GetModelInfoRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(const ServedModel* model, state.model());
  return SerializeMessage(MakeModelInfo(*model, state.daemon_version()));
}

absl::StatusOr<grpc::ByteBuffer> AnswerExperts(
    const grpc::CallbackServerContext& context, ServerState& state,
    const grpc::ByteBuffer& bytes) {
  MLAD_RETURN_IF_ERROR(state.CheckAdmin(context));
  v1::GetExpertsRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(const ServedModel* model, state.model());
  return SerializeMessage(MakeExperts(*model));
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::GetStats(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerStats(*context, state_, *request),
                     response);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* AdminService::WatchStats(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  const absl::Status may = state_.CheckAdmin(*context);
  if (!may.ok()) return StreamReactor::Refuse(may);
  return StatsWatch::Start(state_, *request);
}

grpc::ServerUnaryReactor* AdminService::GetTopology(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerTopology(*context, state_, *request),
                     response);
}

grpc::ServerUnaryReactor* AdminService::GetModelInfo(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerModelInfo(*context, state_, *request),
                     response);
}

grpc::ServerUnaryReactor* AdminService::GetExperts(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerExperts(*context, state_, *request),
                     response);
}

grpc::ServerUnaryReactor* AdminService::StartSlow(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response, UnaryCall::Answer answer) {
  const absl::Status may = state_.CheckAdmin(*context);
  if (!may.ok()) return FinishUnary(context, may);
  return StartUnary(state_, queue_, context, request, response, answer);
}

grpc::ServerUnaryReactor* AdminService::SaveSession(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartSlow(context, request, response, AnswerSaveSession);
}

grpc::ServerUnaryReactor* AdminService::ListSessions(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartSlow(context, request, response, AnswerListSessions);
}

grpc::ServerUnaryReactor* AdminService::RestoreSession(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartSlow(context, request, response, AnswerRestoreSession);
}

grpc::ServerUnaryReactor* AdminService::DropSession(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartSlow(context, request, response, AnswerDropSession);
}

}  // namespace mlad
