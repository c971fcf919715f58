// What the engine needs of a model: tokens in, logits out.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "numa/work_range.h"

namespace mlad {

/// Which rows of a span get logits.
enum class LogitsWanted : uint8_t { kNone, kLast, kAll };

/// Consecutive tokens of one sequence within a step.
struct StepSpan {
  const PageTable* pages = nullptr;  // holds start_position + tokens.size()
  absl::Span<const int32_t> tokens;
  int64_t start_position = 0;  // of tokens[0]; earlier ones are in the cache
  /// True for rows of complete chunks [k*C, (k+1)*C) of a prompt, C =
  /// prompt_chunk_tokens(), false for its tail and for generated tokens. How
  /// the rows of one form are cut into spans does not change their bits; an
  /// expanded span has at most C rows, and its cost beside its rows grows with
  /// the positions before it.
  bool expanded = false;
  LogitsWanted logits = LogitsWanted::kLast;
};

/// Called on the thread of Step, span by span, row by row ascending:
/// span index, row within the span, logits [vocab_size]. The data is gone
/// after the call.
using LogitsConsumer =
    absl::FunctionRef<void(int span, int64_t row, absl::Span<const float>)>;

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  virtual int64_t vocab_size() const = 0;
  virtual int64_t context_limit() const = 0;  // trained positions
  /// C: prompts are cut into chunks of this many tokens (see StepSpan).
  virtual int64_t prompt_chunk_tokens() const = 0;
  /// Largest sum of tokens over the spans of one step; at least C.
  virtual int64_t max_step_tokens() const = 0;
  /// Largest number of spans of one step.
  virtual int64_t max_step_spans() const = 0;
  /// Computes all spans, writing their latent rows to their pages. One caller
  /// at a time. Never fails for valid spans (ids in the vocabulary, sizes
  /// within the limits).
  virtual void Step(absl::Span<const StepSpan> spans,
                    LogitsConsumer consume) = 0;

  virtual int64_t layers() const = 0;
  /// Computes `layers` only, of one expanded span: so other steps need not wait
  /// for all of it. From layer 0 on, call by call, up to layers(): only then
  /// there are logits, and the bits are those of one Step. Steps of other
  /// sequences may come between; a call with layers.begin == 0 drops what an
  /// earlier one left unfinished.
  virtual void StepLayers(const StepSpan& span, WorkRange layers,
                          LogitsConsumer consume) = 0;
};

}  // namespace mlad
