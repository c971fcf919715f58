// A sequence that is read once to learn how probable its tokens are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/engine.h"
#include "engine/sequence.h"

namespace mlad {

/// Reads all tokens but the last, which nothing follows: the last
/// log-probability has the bits of the one that a generation after the same
/// prompt reports.
class ScoreSequence final : public Sequence {
 public:
  /// `request` is valid.
  ScoreSequence(const Terms& terms, ScoreRequest request,
                std::shared_ptr<ScoreObserver> observer);

  int64_t ReusableTokens() const override {
    return static_cast<int64_t>(result_.logprobs.size());
  }
  void TakeLogits(int64_t position, absl::Span<const float> logits) override;
  std::function<void()> End(Ending ending, absl::Time now) override;

 protected:
  LogitsWanted WantedLogits(int64_t end) const override;
  void ReportProgress(int64_t done, int64_t total) override;
  bool AfterStep(absl::Time now) override;

 private:
  ScoreRequest request_;
  std::shared_ptr<ScoreObserver> observer_;
  ScoreResult result_;
};

}  // namespace mlad
