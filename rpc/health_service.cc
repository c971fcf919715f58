#include "rpc/health_service.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mlad/v1/inference.grpc.pb.h"

#include "base/status.h"
#include "rpc/stream_reactor.h"
#include "rpc/unary_call.h"
#include "rpc/wire_message.h"

namespace mlad {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ServingStatus = HealthCheckResponse::ServingStatus;

ServingStatus StatusOf(const std::string& service, ServerPhase phase) {
  if (!service.empty() && service != v1::Inference::service_full_name()) {
    return HealthCheckResponse::SERVICE_UNKNOWN;
  }
  return phase == ServerPhase::kServing ? HealthCheckResponse::SERVING
                                        : HealthCheckResponse::NOT_SERVING;
}

grpc::ByteBuffer Response(ServingStatus status) {
  HealthCheckResponse response;
  response.set_status(status);
  return SerializeMessage(response);
}

absl::StatusOr<grpc::ByteBuffer> AnswerCheck(const ServerState& state,
                                             const grpc::ByteBuffer& bytes) {
  HealthCheckRequest request;
  MLAD_RETURN_IF_ERROR(ParseMessage(bytes, &request));
  const ServingStatus status = StatusOf(request.service(), state.phase());
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    return absl::NotFoundError(
        absl::StrCat("there is no health of this service; ask for \"\" or \"",
                     v1::Inference::service_full_name(), "\""));
  }
  return Response(status);
}

/// Sends the status now and whenever it changes.
class HealthWatch final : public StreamReactor, public PhaseWatcher {
 public:
  HealthWatch(ServerState& state, std::string service)
      : StreamReactor(Limits{}), state_(state), service_(std::move(service)) {}

  void OnPhaseChange() override {
    const std::lock_guard lock(mutex_);
    const ServerPhase phase = state_.phase();
    const ServingStatus status = StatusOf(service_, phase);
    if (sent_ != status) Send(Response(status));
    sent_ = status;
    if (phase == ServerPhase::kStopping) {
      End(absl::UnavailableError("the daemon is shutting down"));
    }
  }

 private:
  void OnClientGone() override {
    End(absl::CancelledError("the client cancelled"));
  }
  void OnCallDone() override { state_.RemoveWatcher(this); }

  ServerState& state_;
  const std::string service_;
  std::mutex mutex_;
  std::optional<ServingStatus> sent_;
};

}  // namespace

grpc::ServerUnaryReactor* HealthService::Check(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return AnswerUnary(context, AnswerCheck(state_, *request), response);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* HealthService::Watch(
    grpc::CallbackServerContext* /*context*/, const grpc::ByteBuffer* bytes) {
  HealthCheckRequest request;
  const absl::Status parsed = ParseMessage(*bytes, &request);
  if (!parsed.ok()) return StreamReactor::Refuse(parsed);
  auto watch = std::make_shared<HealthWatch>(state_, request.service());
  state_.AddWatcher(watch);
  watch->OnPhaseChange();
  return StreamReactor::StartCall(std::move(watch));
}

}  // namespace mlad
