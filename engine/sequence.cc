#include "engine/sequence.h"

#include <algorithm>

#include "base/check.h"

namespace mlad {

StepSpan Sequence::NextSpan(int64_t chunk_tokens, int64_t limit) const {
  StepSpan span;
  span.pages = &pages_;
  span.start_position = position_;
  int64_t count = std::min<int64_t>(limit, 1);
  if (reading_prompt()) {
    const int64_t unread = prompt_tokens_ - position_;
    // Chunks are read whole, so a position before the tail is a chunk's first.
    span.expanded = unread >= chunk_tokens;
    if (span.expanded) {
      MLAD_DCHECK(position_ % chunk_tokens == 0);
      count = limit >= chunk_tokens ? chunk_tokens : 0;
    } else {
      count = std::min(limit, unread);
    }
  }
  span.tokens = absl::MakeConstSpan(tokens_).subspan(position_, count);
  span.logits = WantedLogits(position_ + count);
  return span;
}

bool Sequence::Advance(int64_t count, absl::Time now) {
  const bool was_reading = reading_prompt();
  position_ += count;
  MLAD_DCHECK(position_ <= static_cast<int64_t>(tokens_.size()));
  if (was_reading) ReportProgress(position_, prompt_tokens_);
  return AfterStep(now);
}

}  // namespace mlad
