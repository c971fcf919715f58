#include "engine/generation_sequence.h"

#include <algorithm>
#include <utility>

namespace mlad {
namespace {

bool Contains(absl::Span<const int32_t> ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

GenerationSequence::GenerationSequence(
    const Terms& terms, GenerationRequest request, const Bound& bound,
    const Tokenizer& tokenizer, std::shared_ptr<GenerationObserver> observer)
    : Sequence(terms, std::move(request.prompt)),
      request_(std::move(request)),
      bound_(bound),
      tokenizer_(tokenizer),
      observer_(std::move(observer)),
      sampler_(request_.sampling, tokens()),
      detokenizer_(tokenizer),
      stop_matcher_(request_.stop) {}

LogitsWanted GenerationSequence::WantedLogits(int64_t end) const {
  return end == static_cast<int64_t>(tokens().size()) ? LogitsWanted::kLast
                                                      : LogitsWanted::kNone;
}

void GenerationSequence::TakeLogits(int64_t /*position*/,
                                    absl::Span<const float> logits) {
  sampled_ = sampler_.Sample(logits, request_.logprobs);
}

void GenerationSequence::ReportProgress(int64_t done, int64_t total) {
  delivery().Post([observer = observer_, done, total] {
    observer->OnPromptProgress(done, total);
  });
}

bool GenerationSequence::AfterStep(absl::Time now) {
  if (!sampled_.has_value()) return false;  // within the prompt
  if (generated_tokens() == 0) first_token_at_ = now;
  TokenEvent event;
  event.token = *std::exchange(sampled_, std::nullopt);
  const int32_t id = event.token.id;
  Append(id);
  event.text = stop_matcher_.Add(detokenizer_.Add(id));
  reason_ = ReasonToStopAt(id);
  delivery().Post([observer = observer_, event = std::move(event)] {
    observer->OnToken(event);
  });
  return reason_.has_value();
}

std::optional<FinishReason> GenerationSequence::ReasonToStopAt(
    int32_t id) const {
  if (stop_matcher_.matched()) return FinishReason::kStopString;
  if (Contains(request_.stop_token_ids, id)) return FinishReason::kStopToken;
  if (!request_.ignore_eos &&
      Contains(tokenizer_.end_of_generation_ids(), id)) {
    return FinishReason::kEos;
  }
  if (generated_tokens() >= bound_.tokens) return bound_.reason;
  return std::nullopt;
}

void GenerationSequence::FlushText(FinishEvent& event) {
  if (!stop_matcher_.matched()) {
    event.text = stop_matcher_.Add(detokenizer_.Flush());
    if (stop_matcher_.matched()) {
      event.reason = FinishReason::kStopString;
    } else {
      event.text += stop_matcher_.Flush();
    }
  }
  event.stop_string = stop_matcher_.stop_string();
}

Timings GenerationSequence::MakeTimings(absl::Time now) const {
  const absl::Time started = std::min(started_at(), now);
  const absl::Time first_token = std::min(first_token_at_, now);
  return {started - terms().submitted, first_token - started,
          now - first_token};
}

std::function<void()> GenerationSequence::End(Ending ending, absl::Time now) {
  FinishEvent event;
  FlushText(event);
  switch (ending) {
    case Ending::kComplete:
      if (event.reason != FinishReason::kStopString) event.reason = *reason_;
      break;
    case Ending::kCancelled:
      event.reason = FinishReason::kCancelled;
      break;
    case Ending::kDeadline:
      event.reason = FinishReason::kDeadline;
      break;
  }
  event.usage.prompt_tokens = prompt_tokens();
  event.usage.completion_tokens = generated_tokens();
  event.usage.cached_tokens = cached_tokens();
  event.usage.inexact_tokens = inexact_tokens();
  event.timings = MakeTimings(now);
  event.seed = request_.sampling.seed;
  return [observer = std::move(observer_), event = std::move(event)] {
    observer->OnFinish(event);
  };
}

}  // namespace mlad
