#include "engine/sequence.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace mlad {

StepSpan Sequence::NextSpan(int64_t limit) const {
  StepSpan span;
  span.pages = &pages_;
  span.start_position = position_;
  span.expanded = next_is_expanded();
  const int64_t uncomputed = static_cast<int64_t>(tokens_.size()) - position_;
  const int64_t count =
      std::min({limit, uncomputed, forms_.RunEnd(position_) - position_});
  span.tokens = absl::MakeConstSpan(tokens_).subspan(position_, count);
  span.logits = WantedLogits(position_ + count);
  return span;
}

void Sequence::Start(absl::Time now) {
  if (!ever_started()) started_at_ = now;
  read_end_ = static_cast<int64_t>(tokens_.size());
}

void Sequence::Suspend() {
  position_ = 0;
  offered_pages_ = 0;
  last_token_at_.reset();
}

void Sequence::Park() {
  ever_parked_ = true;
  last_token_at_.reset();
}

std::optional<absl::Duration> Sequence::TakeTokenGap(absl::Time now) {
  const auto before = std::exchange(last_token_at_, now);
  if (!before.has_value()) return std::nullopt;
  return now - *before;
}

void Sequence::TakeOver(const std::vector<FormMask>& forms,
                        int64_t exact_pages) {
  const auto pages = static_cast<int64_t>(forms.size());
  position_ = pages * kPagePositions;
  offered_pages_ = pages;
  if (ever_started()) return;
  cached_tokens_ = position_;
  inexact_tokens_ = (pages - exact_pages) * kPagePositions;
  forms_.TakeOver(forms);
}

void Sequence::SkipPage() {
  MLAD_DCHECK(position_ % kPagePositions == 0);
  if (position_ + kPagePositions <= prompt_tokens_ && generated_tokens() == 0) {
    cached_tokens_ += kPagePositions;
  }
  position_ += kPagePositions;
  ++offered_pages_;
}

bool Sequence::Advance(int64_t count, absl::Time now) {
  position_ += count;
  MLAD_DCHECK(position_ <= static_cast<int64_t>(tokens_.size()));
  if (generated_tokens() == 0 && position_ > reported_) {
    reported_ = position_;
    ReportProgress(position_, prompt_tokens_);
  }
  return AfterStep(now);
}

}  // namespace mlad
