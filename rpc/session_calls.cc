#include "rpc/session_calls.h"

#include <string>
#include <vector>

#include "mlad/v1/admin.pb.h"

#include "base/status.h"
#include "rpc/request_reading.h"
#include "rpc/wire_message.h"

namespace mlad {
namespace {

absl::StatusOr<SessionStore*> SessionsOf(const ServedModel& model) {
  SessionStore* const sessions = model.sessions();
  if (sessions == nullptr) {
    return absl::FailedPreconditionError(
        "this daemon keeps no sessions; start it with --session-dir");
  }
  return sessions;
}

v1::Session ToMessage(const SessionInfo& info) {
  v1::Session session;
  session.set_name(info.name);
  session.set_tokens(info.tokens);
  session.set_file_bytes(info.file_bytes);
  session.set_saved_at_s(info.saved_at_s);
  session.set_problem(std::string(info.status.message()));
  return session;
}

/// The ids that the request's text begins with.
absl::StatusOr<std::vector<int32_t>> ReadText(
    const v1::SaveSessionRequest& request, const ServedModel& model) {
  if (request.has_generate()) {
    MLAD_ASSIGN_OR_RETURN(
        GenerationOrder order,
        ReadGenerateRequest(SerializeMessage(request.generate()), model));
    return std::move(order.request.prompt);
  }
  if (request.has_chat()) {
    MLAD_ASSIGN_OR_RETURN(
        GenerationOrder order,
        ReadChatRequest(SerializeMessage(request.chat()), model));
    return std::move(order.request.prompt);
  }
  return absl::InvalidArgumentError(
      "neither generate nor chat is set; send the text to keep in one of them");
}

}  // namespace

absl::StatusOr<grpc::ByteBuffer> AnswerSaveSession(
    const grpc::ByteBuffer& bytes, const ServedModel& model) {
  v1::SaveSessionRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(SessionStore* const sessions, SessionsOf(model));
  MLAD_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens,
                        ReadText(request, model));
  MLAD_ASSIGN_OR_RETURN(const SessionInfo info,
                        sessions->Save(request.name(), tokens));
  return SerializeMessage(ToMessage(info));
}

absl::StatusOr<grpc::ByteBuffer> AnswerListSessions(
    const grpc::ByteBuffer& bytes, const ServedModel& model) {
  v1::ListSessionsRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(SessionStore* const sessions, SessionsOf(model));
  MLAD_ASSIGN_OR_RETURN(const std::vector<SessionInfo> infos, sessions->List());
  v1::ListSessionsResponse response;
  for (const SessionInfo& info : infos) {
    *response.add_sessions() = ToMessage(info);
  }
  return SerializeMessage(response);
}

absl::StatusOr<grpc::ByteBuffer> AnswerRestoreSession(
    const grpc::ByteBuffer& bytes, const ServedModel& model) {
  v1::RestoreSessionRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(SessionStore* const sessions, SessionsOf(model));
  MLAD_ASSIGN_OR_RETURN(const SessionInfo info,
                        sessions->Restore(request.name()));
  return SerializeMessage(ToMessage(info));
}

absl::StatusOr<grpc::ByteBuffer> AnswerDropSession(
    const grpc::ByteBuffer& bytes, const ServedModel& model) {
  v1::DropSessionRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  MLAD_ASSIGN_OR_RETURN(SessionStore* const sessions, SessionsOf(model));
  MLAD_RETURN_IF_ERROR(sessions->Drop(request.name()));
  return SerializeMessage(v1::DropSessionResponse());
}

}  // namespace mlad
