// A sequence that is continued token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "engine/reasoning_splitter.h"
#include "engine/sampling.h"
#include "engine/sequence.h"
#include "engine/stop_matcher.h"
#include "engine/token_constraint.h"
#include "model/tokenizer.h"

namespace mlad {

class GenerationSequence final : public Sequence {
 public:
  /// Where generation ends at the latest, and the reason to report then.
  struct Bound {
    int64_t tokens = 0;
    FinishReason reason = FinishReason::kMaxTokens;
  };

  /// `request` is valid and has a seed. `constraint`: of its format; may be
  /// null.
  GenerationSequence(const Terms& terms, GenerationRequest request,
                     const Bound& bound, const Tokenizer& tokenizer,
                     std::shared_ptr<GenerationObserver> observer,
                     std::unique_ptr<TokenConstraint> constraint = nullptr);

  int64_t ReusableTokens() const override {
    return scoring_prompt() ? scored_
                            : static_cast<int64_t>(tokens().size()) - 1;
  }
  void TakeLogits(int64_t position, absl::Span<const float> logits) override;
  std::function<void()> End(Ending ending, absl::Time now) override;

 protected:
  LogitsWanted WantedLogits(int64_t end) const override;
  void ReportProgress(int64_t done, int64_t total) override;
  bool AfterStep(absl::Time now) override;

 private:
  bool scoring_prompt() const {
    return request_.prompt_logprobs >= 0 && scored_ < prompt_tokens() - 1;
  }
  void ScorePrompt(int64_t position, absl::Span<const float> logits);
  /// Draws the next token, or finds that there is none.
  void DrawToken(absl::Span<const float> logits);
  bool constrained() const {
    return constraint_ != nullptr &&
           (!splitter_.has_value() || splitter_->in_answer());
  }
  ReasoningSplitter::Parts Split(const std::string& text);
  std::optional<FinishReason> ReasonToStopAt(int32_t id) const;
  /// Moves what was held back into `event`.
  void FlushText(FinishEvent& event);
  Timings MakeTimings(absl::Time now) const;

  GenerationRequest request_;  // but for the prompt
  Bound bound_;
  const Tokenizer& tokenizer_;
  std::shared_ptr<GenerationObserver> observer_;
  Sampler sampler_;
  StreamingDetokenizer detokenizer_;
  std::optional<ReasoningSplitter> splitter_;
  StopMatcher stop_matcher_;
  const std::unique_ptr<TokenConstraint> constraint_;
  ScoreResult prompt_scores_;  // of this step
  int64_t scored_ = 0;         // tokens of the prompt behind the first
  std::optional<SampledToken> sampled_;  // in this step
  absl::Time first_token_at_ = absl::InfiniteFuture();
  std::optional<FinishReason> reason_;
  absl::Status failure_;
};

}  // namespace mlad
