// A request in the engine: its tokens, its pages and how far it is.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "engine/engine.h"
#include "engine/event_delivery.h"
#include "model/language_model.h"

namespace mlad {

/// Why a sequence leaves the engine.
enum class Ending : uint8_t { kComplete, kCancelled, kDeadline };

/// Tokens to read, then (for generations) tokens that are appended one at a
/// time. Used by one thread at a time.
class Sequence {
 public:
  struct Terms {
    RequestId id = 0;
    absl::Time submitted;
    absl::Time deadline = absl::InfiniteFuture();
    int64_t max_cached_tokens = 0;  // the cache never holds more of it
    EventDelivery* delivery = nullptr;
  };

  Sequence(const Terms& terms, std::vector<int32_t> prompt)
      : terms_(terms),
        tokens_(std::move(prompt)),
        prompt_tokens_(static_cast<int64_t>(tokens_.size())) {}
  virtual ~Sequence() = default;
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  RequestId id() const { return terms_.id; }
  absl::Time deadline() const { return terms_.deadline; }
  int64_t max_cached_tokens() const { return terms_.max_cached_tokens; }
  PageTable& pages() { return pages_; }
  bool reading_prompt() const { return position_ < prompt_tokens_; }
  int64_t generated_tokens() const {
    return static_cast<int64_t>(tokens_.size()) - prompt_tokens_;
  }

  /// What to compute next, of at most `limit` tokens: a complete chunk of the
  /// prompt, expanded; or of its tail as much as fits; or the last token
  /// generated. Empty when a complete chunk does not fit.
  StepSpan NextSpan(int64_t chunk_tokens, int64_t limit) const;

  /// The sequence has its pages and will be scheduled.
  void Start(absl::Time now) { started_at_ = now; }
  /// Within the step: logits after the token at `position`.
  virtual void TakeLogits(int64_t position, absl::Span<const float> logits) = 0;
  /// After the step: its `count` tokens are in the cache. Reports events.
  /// Returns true when the sequence is complete.
  bool Advance(int64_t count, absl::Time now);
  /// What reports the end to the observer; the sequence may be gone by then.
  virtual std::function<void()> End(Ending ending, absl::Time now) = 0;

 protected:
  /// Which logits a span up to `end` needs.
  virtual LogitsWanted WantedLogits(int64_t end) const = 0;
  virtual void ReportProgress(int64_t done, int64_t total) = 0;
  /// After each step; true when complete.
  virtual bool AfterStep(absl::Time now) = 0;

  const Terms& terms() const { return terms_; }
  EventDelivery& delivery() const { return *terms_.delivery; }
  absl::Time started_at() const { return started_at_; }
  const std::vector<int32_t>& tokens() const { return tokens_; }
  int64_t prompt_tokens() const { return prompt_tokens_; }
  void Append(int32_t token) { tokens_.push_back(token); }

 private:
  Terms terms_;
  std::vector<int32_t> tokens_;
  int64_t prompt_tokens_ = 0;
  int64_t position_ = 0;  // tokens in the cache
  PageTable pages_;
  absl::Time started_at_ = absl::InfiniteFuture();
};

}  // namespace mlad
