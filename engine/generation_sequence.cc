#include "engine/generation_sequence.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "engine/logprobs.h"

namespace mlad {
namespace {

bool Contains(absl::Span<const int32_t> ids, int32_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

GenerationSequence::GenerationSequence(
    const Terms& terms, GenerationRequest request, const Bound& bound,
    const Tokenizer& tokenizer, std::shared_ptr<GenerationObserver> observer,
    std::unique_ptr<TokenConstraint> constraint)
    : Sequence(terms, std::move(request.prompt)),
      request_(std::move(request)),
      bound_(bound),
      tokenizer_(tokenizer),
      observer_(std::move(observer)),
      sampler_(request_.sampling, tokens()),
      detokenizer_(tokenizer),
      stop_matcher_(request_.stop),
      constraint_(std::move(constraint)) {
  if (request_.split_reasoning) {
    splitter_.emplace(OpensThought(tokenizer.Decode(tokens(), true)));
  }
}

LogitsWanted GenerationSequence::WantedLogits(int64_t end) const {
  if (scoring_prompt()) return LogitsWanted::kAll;
  return end == static_cast<int64_t>(tokens().size()) ? LogitsWanted::kLast
                                                      : LogitsWanted::kNone;
}

void GenerationSequence::TakeLogits(int64_t position,
                                    absl::Span<const float> logits) {
  if (position + 1 == static_cast<int64_t>(tokens().size())) {
    DrawToken(logits);
  } else {
    ScorePrompt(position, logits);
  }
}

void GenerationSequence::ScorePrompt(int64_t position,
                                     absl::Span<const float> logits) {
  if (position != scored_) return;  // it is read again
  ++scored_;
  const double log_normalizer = LogNormalizer(logits);
  const float logit = FiniteLogit(logits[tokens()[position + 1]]);
  prompt_scores_.logprobs.push_back(static_cast<float>(logit - log_normalizer));
  if (request_.prompt_logprobs > 0) {
    prompt_scores_.top.push_back(
        TopLogprobs(logits, log_normalizer, request_.prompt_logprobs));
  }
}

void GenerationSequence::DrawToken(absl::Span<const float> logits) {
  if (!constrained()) {
    sampled_ = sampler_.Sample(logits, request_.logprobs);
    return;
  }
  const absl::StatusOr<TokenConstraint::Allowed> allowed = constraint_->Await();
  if (!allowed.ok()) {
    failure_ = allowed.status();
  } else if (!allowed->mask->empty()) {
    sampled_ = sampler_.Sample(logits, request_.logprobs, allowed->mask.get());
  } else if (allowed->may_end) {
    reason_ = FinishReason::kGrammarEnd;
  } else {
    failure_ = absl::FailedPreconditionError(
        absl::StrCat("After ", generated_tokens(),
                     " tokens the grammar demands characters that no token of "
                     "the model's vocabulary spells."));
  }
}

void GenerationSequence::ReportProgress(int64_t done, int64_t total) {
  delivery().Post([observer = observer_, done, total] {
    observer->OnPromptProgress(done, total);
  });
}

bool GenerationSequence::AfterStep(absl::Time now) {
  if (!prompt_scores_.logprobs.empty()) {
    const int64_t first =
        1 + scored_ - static_cast<int64_t>(prompt_scores_.logprobs.size());
    delivery().Post([observer = observer_, first,
                     scores = std::exchange(prompt_scores_, {})] {
      observer->OnPromptLogprobs(first, scores);
    });
  }
  if (!failure_.ok() || reason_.has_value()) return true;
  if (!sampled_.has_value()) return false;  // within the prompt
  if (generated_tokens() == 0) first_token_at_ = now;
  TokenEvent event;
  event.token = *std::exchange(sampled_, std::nullopt);
  const int32_t id = event.token.id;
  Append(id);
  const bool was_constrained = constrained();
  ReasoningSplitter::Parts parts = Split(detokenizer_.Add(id));
  event.reasoning = std::move(parts.reasoning);
  event.text = stop_matcher_.Add(parts.answer);
  reason_ = ReasonToStopAt(id);
  if (was_constrained && !reason_.has_value()) {
    constraint_->Accept(tokenizer_.TokenBytes(id));
  }
  delivery().Post([observer = observer_, event = std::move(event)] {
    observer->OnToken(event);
  });
  return reason_.has_value();
}

ReasoningSplitter::Parts GenerationSequence::Split(const std::string& text) {
  if (!splitter_.has_value()) return {"", text};
  return splitter_->Add(text);
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
    ReasoningSplitter::Parts parts = Split(detokenizer_.Flush());
    if (splitter_.has_value()) {
      ReasoningSplitter::Parts rest = splitter_->Flush();
      parts.reasoning += rest.reasoning;
      parts.answer += rest.answer;
    }
    event.reasoning = std::move(parts.reasoning);
    event.text = stop_matcher_.Add(parts.answer);
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
  if (ending == Ending::kComplete && !failure_.ok()) {
    return [observer = std::move(observer_), failure = failure_] {
      observer->OnFinish(failure);
    };
  }
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
