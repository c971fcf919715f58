#include "rpc/generation_call.h"

#include <utility>

#include "base/status.h"
#include "rpc/client_limits.h"
#include "rpc/response_building.h"
#include "rpc/wire_message.h"

namespace mlad {

GenerationCall::GenerationCall(Params params)
    : StreamReactor(params.limits), params_(std::move(params)) {}

void GenerationCall::Submit() {
  const absl::Status status = SubmitOrError();
  if (!status.ok()) End(status);
}

absl::Status GenerationCall::SubmitOrError() {
  if (engine_request_.cancelled()) {
    return absl::CancelledError("the client cancelled");
  }
  ServedModel& model = params_.ticket.model();
  MLAD_ASSIGN_OR_RETURN(GenerationOrder order,
                        params_.reader(*params_.request, model));
  GenerationRequest& request = order.request;
  MLAD_RETURN_IF_ERROR(
      ApplyClientLimits(params_.ticket.pass(), params_.max_tokens, request));
  request.deadline = CallDeadline(*params_.context);
  echo_ = order.echo;
  if (echo_ || request.prompt_logprobs >= 0) prompt_ = request.prompt;
  with_logprobs_ = request.logprobs >= 0;
  Engine& engine = model.engine();
  MLAD_ASSIGN_OR_RETURN(
      const RequestId id,
      engine.Generate(
          std::move(request),
          std::static_pointer_cast<GenerationCall>(shared_from_this())));
  engine_request_.Submitted(engine, id);
  return absl::OkStatus();
}

void GenerationCall::SendEcho() {
  if (!echo_) return;
  echo_ = false;
  Send(SerializeMessage(
      PromptResponse(prompt_, params_.ticket.model().tokenizer())));
}

void GenerationCall::OnPromptProgress(int64_t done, int64_t total) {
  SendEcho();
  Send(SerializeMessage(ProgressResponse(done, total)),
       MessageKind::kReplaceable);
}

void GenerationCall::OnPromptLogprobs(int64_t first,
                                      const ScoreResult& result) {
  SendEcho();
  Send(SerializeMessage(PromptLogprobsResponse(
      first,
      absl::MakeConstSpan(prompt_).subspan(first, result.logprobs.size()),
      result, params_.ticket.model().tokenizer())));
}

void GenerationCall::OnToken(const TokenEvent& event) {
  SendEcho();
  Send(SerializeMessage(TokenResponse(event, with_logprobs_,
                                      params_.ticket.model().tokenizer())));
}

void GenerationCall::OnFinish(const absl::StatusOr<FinishEvent>& result) {
  if (!result.ok()) {
    End(result.status());
    return;
  }
  SendEcho();
  SendLastAndEnd(SerializeMessage(FinishResponse(*result)),
                 FinalStatus(result->reason));
}

absl::Status GenerationCall::FinalStatus(FinishReason reason) const {
  if (reason == FinishReason::kDeadline) {
    return absl::DeadlineExceededError(
        "the deadline passed before the answer was complete");
  }
  if (reason != FinishReason::kCancelled) return absl::OkStatus();
  if (engine_request_.cancelled()) {
    return absl::CancelledError("the client cancelled");
  }
  return absl::UnavailableError(
      "the daemon shut down before the answer was complete");
}

}  // namespace mlad
