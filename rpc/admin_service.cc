#include "rpc/admin_service.h"

#include <memory>

#include "base/status.h"
#include "rpc/admin_responses.h"
#include "rpc/stats_watch.h"
#include "rpc/unary_call.h"
#include "rpc/wire_message.h"

namespace mlad {
namespace {

absl::StatusOr<grpc::ByteBuffer> AnswerStats(const ServerState& state,
                                             const grpc::ByteBuffer& bytes) {
  v1::GetStatsRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  return SerializeMessage(MakeStats(state));
}

absl::StatusOr<grpc::ByteBuffer> AnswerTopology(const ServerState& state,
                                                const grpc::ByteBuffer& bytes) {
  v1::GetTopologyRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(const ServedModel* model, state.model());
  return SerializeMessage(MakeTopology(*model));
}

absl::StatusOr<grpc::ByteBuffer> AnswerModelInfo(
    const ServerState& state, const grpc::ByteBuffer& bytes) {
  v1::GetModelInfoRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(const ServedModel* model, state.model());
  return SerializeMessage(MakeModelInfo(*model, state.daemon_version()));
}

absl::StatusOr<grpc::ByteBuffer> AnswerExperts(const ServerState& state,
                                               const grpc::ByteBuffer& bytes) {
  v1::GetExpertsRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(const ServedModel* model, state.model());
  return SerializeMessage(MakeExperts(*model));
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::GetStats(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerStats(state_, *request), response);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* AdminService::WatchStats(
    grpc::CallbackServerContext* /*context*/, const grpc::ByteBuffer* request) {
  return StatsWatch::Start(state_, *request);
}

grpc::ServerUnaryReactor* AdminService::GetTopology(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerTopology(state_, *request), response);
}

grpc::ServerUnaryReactor* AdminService::GetModelInfo(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerModelInfo(state_, *request), response);
}

grpc::ServerUnaryReactor* AdminService::GetExperts(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerExperts(state_, *request), response);
}

}  // namespace mlad
