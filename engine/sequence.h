// A request in the engine: its tokens, its pages and how far it is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "engine/engine.h"
#include "engine/event_delivery.h"
#include "engine/page_forms.h"
#include "engine/prefix_cache.h"
#include "model/language_model.h"

namespace mlad {

/// Why a sequence leaves the engine.
enum class Ending : uint8_t { kComplete, kCancelled, kDeadline };

/// Tokens to read, then (for generations) tokens that are appended one at a
/// time. It may lose its pages at any time between two steps and begin again:
/// what it reads then is the same, in the same forms. Used by one thread at a
/// time.
class Sequence {
 public:
  struct Terms {
    RequestId id = 0;
    absl::Time submitted;
    absl::Time deadline = absl::InfiniteFuture();
    std::string client;
    int priority = 0;
    int64_t chunk_tokens = 1;  // of the model's prompts
    bool exact_reuse_only = false;
    EventDelivery* delivery = nullptr;
  };

  Sequence(Terms terms, std::vector<int32_t> prompt)
      : terms_(std::move(terms)),
        tokens_(std::move(prompt)),
        prompt_tokens_(static_cast<int64_t>(tokens_.size())),
        forms_(prompt_tokens_, terms_.chunk_tokens) {}
  virtual ~Sequence() = default;
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  RequestId id() const { return terms_.id; }
  absl::Time submitted() const { return terms_.submitted; }
  absl::Time deadline() const { return terms_.deadline; }
  const std::string& client() const { return terms_.client; }
  int priority() const { return terms_.priority; }
  PageTable& pages() { return pages_; }
  const PageTable& pages() const { return pages_; }
  const PageForms& forms() const { return forms_; }
  const std::vector<int32_t>& tokens() const { return tokens_; }
  int64_t position() const { return position_; }  // tokens in the cache
  int64_t prompt_tokens() const { return prompt_tokens_; }
  /// There is more to be computed than the token that was generated last.
  bool reading() const { return position_ < read_end_; }
  int64_t generated_tokens() const {
    return static_cast<int64_t>(tokens_.size()) - prompt_tokens_;
  }
  /// Of the prompt, when it was read for the first time.
  int64_t cached_tokens() const { return cached_tokens_; }
  /// Those of them whose bits may be others than a cold run's.
  int64_t inexact_tokens() const { return inexact_tokens_; }

  /// What to compute next, of at most `limit` tokens: all of one form.
  StepSpan NextSpan(int64_t limit) const;
  /// The form of NextSpan.
  bool next_is_expanded() const { return forms_.IsExpanded(position_); }

  /// The sequence has its pages and will be scheduled.
  void Start(absl::Time now);
  /// It has lost them.
  void Suspend();
  /// It will not be scheduled for a while.
  void Park();
  bool ever_parked() const { return ever_parked_; }
  /// After a step that gave it a token: the time since the one before, unless
  /// it was suspended or parked meanwhile.
  std::optional<absl::Duration> TakeTokenGap(absl::Time now);
  /// Since it was started for the first time.
  absl::Duration service_time(absl::Time now) const {
    return now - started_at_;
  }
  bool ever_started() const { return started_at_ != absl::InfiniteFuture(); }

  // For SequencePages.
  /// Logits of the tokens before this one are not needed any more.
  virtual int64_t ReusableTokens() const = 0;
  /// What has been computed once is computed again in the same forms.
  bool exact_reuse_only() const {
    return terms_.exact_reuse_only || ever_started();
  }
  /// Begins with pages that have these forms, the first `exact_pages` of them
  /// those that were wanted.
  void TakeOver(const std::vector<FormMask>& forms, int64_t exact_pages);
  /// The next page has been computed by somebody else.
  void SkipPage();
  PrefixCache::Entry* last_entry() const { return last_entry_; }
  void SetLastEntry(PrefixCache::Entry* entry) { last_entry_ = entry; }
  /// Complete pages up to last_entry().
  int64_t offered_pages() const { return offered_pages_; }
  void CountOfferedPage() { ++offered_pages_; }
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
  void Append(int32_t token) { tokens_.push_back(token); }

 private:
  Terms terms_;
  std::vector<int32_t> tokens_;
  int64_t prompt_tokens_ = 0;
  PageForms forms_;
  int64_t read_end_ = 0;  // tokens there were at the last start
  int64_t position_ = 0;
  PageTable pages_;
  PrefixCache::Entry* last_entry_ = nullptr;  // pinned
  int64_t offered_pages_ = 0;
  int64_t reported_ = 0;  // progress
  std::optional<absl::Time> last_token_at_;
  int64_t cached_tokens_ = 0;
  int64_t inexact_tokens_ = 0;
  bool ever_parked_ = false;
  absl::Time started_at_ = absl::InfiniteFuture();
};

/// Who keeps its pages longer when there are too few: the higher priority, and
/// among equals who came first.
inline bool Outranks(const Sequence& a, const Sequence& b) {
  if (a.priority() != b.priority()) return a.priority() > b.priority();
  return a.id() < b.id();
}

}  // namespace mlad
