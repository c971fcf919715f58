#include "rpc/score_call.h"

#include <utility>

#include "base/status.h"
#include "rpc/client_limits.h"
#include "rpc/request_reading.h"
#include "rpc/response_building.h"
#include "rpc/status_mapping.h"
#include "rpc/wire_message.h"

namespace mlad {

ScoreCall* ScoreCall::Start(Params params) {
  auto call = std::make_shared<ScoreCall>(std::move(params));
  call->self_ = call;
  if (!call->params_.queue->TryPush([call] { call->Submit(); })) {
    call->Finish(ToGrpcStatus(WorkQueue::FullError()));
  }
  return call.get();
}

void ScoreCall::Submit() {
  const absl::Status status = SubmitOrError();
  if (!status.ok()) Finish(ToGrpcStatus(status));
}

absl::Status ScoreCall::SubmitOrError() {
  if (engine_request_.cancelled()) {
    return absl::CancelledError("the client cancelled");
  }
  ServedModel& model = params_.ticket.model();
  MLAD_ASSIGN_OR_RETURN(ScoreRequest request,
                        ReadScoreRequest(*params_.request, model));
  MLAD_RETURN_IF_ERROR(ApplyClientLimits(params_.ticket.pass(), request));
  request.deadline = CallDeadline(*params_.context);
  tokens_ = request.tokens;
  Engine& engine = model.engine();
  MLAD_ASSIGN_OR_RETURN(const RequestId id,
                        engine.Score(std::move(request), shared_from_this()));
  engine_request_.Submitted(engine, id);
  return absl::OkStatus();
}

void ScoreCall::OnFinish(const absl::StatusOr<ScoreResult>& result) {
  if (!result.ok()) {
    Finish(ToGrpcStatus(result.status()));
    return;
  }
  // A long text makes a large response: not on the engine's thread, where other
  // requests' tokens wait.
  params_.queue->Continue([call = shared_from_this(), scores = *result] {
    *call->params_.response = SerializeMessage(MakeScoreResponse(
        call->tokens_, scores, call->params_.ticket.model().tokenizer()));
    call->Finish(grpc::Status::OK);
  });
}

void ScoreCall::OnDone() {
  params_.ticket.Release();
  // May be the last owner: nothing after this line.
  const std::shared_ptr<ScoreCall> last = std::move(self_);
}

}  // namespace mlad
