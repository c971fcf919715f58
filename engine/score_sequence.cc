#include "engine/score_sequence.h"

#include <utility>

#include "absl/status/status.h"

#include "base/check.h"
#include "engine/logprobs.h"

namespace mlad {

ScoreSequence::ScoreSequence(const Terms& terms, ScoreRequest request,
                             std::shared_ptr<ScoreObserver> observer)
    : Sequence(terms, {request.tokens.begin(), request.tokens.end() - 1}),
      request_(std::move(request)),
      observer_(std::move(observer)) {
  result_.logprobs.reserve(prompt_tokens());
  if (request_.top_logprobs > 0) result_.top.reserve(prompt_tokens());
}

LogitsWanted ScoreSequence::WantedLogits(int64_t /*end*/) const {
  return LogitsWanted::kAll;
}

void ScoreSequence::TakeLogits(int64_t position,
                               absl::Span<const float> logits) {
  // When it reads again, it has those of the first tokens.
  const auto known = static_cast<int64_t>(result_.logprobs.size());
  if (position < known) return;
  MLAD_DCHECK(position == known);
  const double log_normalizer = LogNormalizer(logits);
  const int32_t next = request_.tokens[position + 1];
  result_.logprobs.push_back(
      static_cast<float>(FiniteLogit(logits[next]) - log_normalizer));
  if (request_.top_logprobs > 0) {
    result_.top.push_back(
        TopLogprobs(logits, log_normalizer, request_.top_logprobs));
  }
}

void ScoreSequence::ReportProgress(int64_t done, int64_t total) {
  delivery().Post([observer = observer_, done, total] {
    observer->OnProgress(done, total);
  });
}

bool ScoreSequence::AfterStep(absl::Time /*now*/) { return !reading(); }

std::function<void()> ScoreSequence::End(Ending ending, absl::Time /*now*/) {
  absl::StatusOr<ScoreResult> result;
  switch (ending) {
    case Ending::kComplete:
      result = std::move(result_);
      break;
    case Ending::kCancelled:
      result = absl::CancelledError("The request was cancelled.");
      break;
    case Ending::kDeadline:
      result = absl::DeadlineExceededError(
          "The deadline passed before all tokens were read; allow more time or "
          "send less text.");
      break;
  }
  return [observer = std::move(observer_), result = std::move(result)] {
    observer->OnFinish(result);
  };
}

}  // namespace mlad
