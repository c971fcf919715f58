// One step's rows: which token of which sequence each is, and how its
// attention is computed.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "attention/row_group.h"
#include "kernels/kernels.h"
#include "model/language_model.h"

namespace mlad {

/// Sizes that bound every step; buffers are allocated for them at start.
struct StepLimits {
  int64_t tokens = 0;  // rows of a step
  int64_t spans = 0;
  int64_t chunk_tokens = 0;    // rows of an expanded span
  int64_t absorbed_rows = 0;   // rows of one absorbed pass
  int64_t expanded_heads = 1;  // of one worker that share a walk over the
                               // latents; kMaxExpandedHeads at most
  int64_t logits_rows = 0;     // rows whose logits are computed at once
};

inline constexpr int64_t kMaxExpandedHeads = 8;

/// Limits for a model with `heads` heads: the partials of one absorbed pass
/// stay below about 12 MiB.
StepLimits MakeStepLimits(int64_t heads, int64_t kv_lora_rank,
                          int64_t expanded_heads);

struct StepRow {
  int32_t token = 0;
  int64_t position = 0;
  const PageTable* pages = nullptr;
  ActivationBits bits = ActivationBits::k16;  // of all that it multiplies
};

/// Rows whose logits are wanted.
struct LogitsRow {
  int span = 0;
  int64_t row_in_span = 0;
  int64_t step_row = 0;
};

class StepPlan {
 public:
  /// Reserves room for `limits`: Build() does not allocate.
  explicit StepPlan(const StepLimits& limits);

  /// spans are within the limits.
  void Build(absl::Span<const StepSpan> spans);

  const StepLimits& limits() const { return limits_; }
  int64_t tokens() const { return static_cast<int64_t>(rows_.size()); }
  absl::Span<const StepRow> rows() const { return rows_; }
  absl::Span<const RowGroup> expanded() const { return expanded_; }
  int64_t absorbed_passes() const {
    return static_cast<int64_t>(pass_begin_.size()) - 1;
  }
  absl::Span<const RowGroup> AbsorbedPass(int64_t pass) const {
    return absl::MakeConstSpan(absorbed_).subspan(
        pass_begin_[pass], pass_begin_[pass + 1] - pass_begin_[pass]);
  }
  absl::Span<const LogitsRow> logits() const { return logits_; }

 private:
  void AddAbsorbed(const StepSpan& span, int64_t first_row);

  StepLimits limits_;
  std::vector<StepRow> rows_;
  std::vector<RowGroup> expanded_;
  std::vector<RowGroup> absorbed_;
  std::vector<int64_t> pass_begin_;  // [passes + 1], into absorbed_
  int64_t pass_rows_ = 0;            // of the pass being filled
  std::vector<LogitsRow> logits_;
};

}  // namespace mlad
