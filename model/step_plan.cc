#include "model/step_plan.h"

#include <algorithm>

#include "base/check.h"

namespace mlad {
namespace {

// Expanding a latent costs as much as 170 queries save by it; at 512 queries
// a chunk the expanded form needs half the products of the absorbed one.
constexpr int64_t kChunkTokens = 512;
constexpr int64_t kMaxSpans = 64;
constexpr int64_t kLogitsRows = 16;
constexpr int64_t kPartialBytes = 12 << 20;

}  // namespace

StepLimits MakeStepLimits(int64_t heads, int64_t kv_lora_rank,
                          int64_t expanded_heads) {
  StepLimits limits;
  limits.chunk_tokens = kChunkTokens;
  limits.spans = kMaxSpans;
  limits.tokens = kChunkTokens + kMaxSpans;
  limits.logits_rows = kLogitsRows;
  const int64_t row_bytes =
      kLanes * heads * (kv_lora_rank + 1) * static_cast<int64_t>(sizeof(float));
  limits.absorbed_rows = std::clamp<int64_t>(kPartialBytes / row_bytes, 1, 16);
  limits.expanded_heads =
      std::clamp<int64_t>(expanded_heads, 1, kMaxExpandedHeads);
  return limits;
}

StepPlan::StepPlan(const StepLimits& limits) : limits_(limits) {
  rows_.reserve(limits.tokens);
  expanded_.reserve(limits.spans);
  absorbed_.reserve(limits.tokens);
  pass_begin_.reserve(limits.tokens + 1);
  logits_.reserve(limits.tokens);
  pass_begin_.push_back(0);
}

void StepPlan::AddAbsorbed(const StepSpan& span, int64_t first_row) {
  const int64_t count = static_cast<int64_t>(span.tokens.size());
  for (int64_t done = 0; done < count;) {
    if (pass_rows_ == limits_.absorbed_rows) {
      pass_begin_.push_back(static_cast<int64_t>(absorbed_.size()));
      pass_rows_ = 0;
    }
    const int64_t rows =
        std::min(count - done, limits_.absorbed_rows - pass_rows_);
    absorbed_.push_back({span.pages, span.start_position + done,
                         first_row + done, rows, pass_rows_});
    done += rows;
    pass_rows_ += rows;
  }
}

void StepPlan::Build(absl::Span<const StepSpan> spans) {
  rows_.clear();
  expanded_.clear();
  absorbed_.clear();
  logits_.clear();
  pass_begin_.assign(1, 0);
  pass_rows_ = 0;
  for (size_t s = 0; s < spans.size(); ++s) {
    const StepSpan& span = spans[s];
    const int64_t first_row = tokens();
    const int64_t count = static_cast<int64_t>(span.tokens.size());
    const ActivationBits bits =
        span.expanded ? ActivationBits::k8 : ActivationBits::k16;
    for (int64_t i = 0; i < count; ++i) {
      rows_.push_back(
          {span.tokens[i], span.start_position + i, span.pages, bits});
    }
    if (span.expanded) {
      MLAD_DCHECK(count <= limits_.chunk_tokens);
      expanded_.push_back(
          {span.pages, span.start_position, first_row, count, 0});
    } else {
      AddAbsorbed(span, first_row);
    }
    const int64_t first_wanted = span.logits == LogitsWanted::kAll ? 0
                                 : span.logits == LogitsWanted::kLast
                                     ? count - 1
                                     : count;
    for (int64_t i = first_wanted; i < count; ++i) {
      logits_.push_back({static_cast<int>(s), i, first_row + i});
    }
  }
  if (pass_rows_ > 0) {
    pass_begin_.push_back(static_cast<int64_t>(absorbed_.size()));
  }
  MLAD_DCHECK(tokens() <= limits_.tokens);
}

}  // namespace mlad
