// The engine: owns the sequences and drives the model step by step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "base/clock.h"
#include "engine/latency_histogram.h"
#include "engine/output_format.h"
#include "engine/sampling.h"
#include "model/language_model.h"
#include "model/tokenizer.h"

namespace mlad {

inline constexpr int kMaxStopStrings = 16;
inline constexpr size_t kMaxStopStringBytes = 256;
inline constexpr int kMaxStopTokenIds = 64;
inline constexpr int kMaxPriority = 10;  // and -kMaxPriority the lowest

struct GenerationRequest {
  std::vector<int32_t> prompt;  // at least one id
  SamplingParams sampling;
  // 0: as many as the context and the cache hold.
  int64_t max_tokens = 0;
  // Not part of the text sent. At most kMaxStopStrings of 1 to
  // kMaxStopStringBytes bytes. The one that is complete first ends the text, of
  // several at the same byte the longest. With
  // split_reasoning, looked for in the answer only.
  std::vector<std::string> stop;
  // Generation ends after any of them: the token and its text are sent. At most
  // kMaxStopTokenIds.
  std::vector<int32_t> stop_token_ids;
  bool ignore_eos = false;
  // -1: none, else alternatives per token, up to kMaxLogprobs.
  int logprobs = -1;
  // Of the cache, takes over only what has the bits of a cold run: not what was
  // computed while generating, or as the tail of a shorter prompt.
  bool exact_reuse = false;
  // Generation ends there as at max_tokens, but nothing has to be kept free for
  // it; 0: no limit.
  int64_t token_limit = 0;
  std::string client;  // who gets a share of the places
  int priority = 0;    // the higher goes first; up to kMaxPriority
  // The same of the prompt's tokens but the first: nothing of the prompt is
  // taken from the cache then.
  int prompt_logprobs = -1;
  // Excludes ignore_eos: the text ends where the grammar ends. A thought that
  // is split off is free.
  OutputFormat format;
  // Tells the thought of a reasoning model from its answer.
  bool split_reasoning = false;
  absl::Time deadline = absl::InfiniteFuture();
};

enum class FinishReason : uint8_t {
  kEos,
  kStopString,
  kStopToken,
  kMaxTokens,
  kContextFull,
  kGrammarEnd,  // the grammar allows nothing more
  kCancelled,
  kDeadline,
};

/// Every token that was drawn, the one that ended the text included.
struct TokenEvent {
  SampledToken token;
  std::string text;  // may be empty while a character or stop string is open
  std::string reasoning;
};

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, found in the cache
  // Of these, those whose bits may be others than a cold run's; 0 with
  // exact_reuse.
  int64_t inexact_tokens = 0;
};

struct Timings {
  absl::Duration queued;      // until a place was free
  absl::Duration prompt;      // from there to the first token
  absl::Duration generation;  // from there to the end
};

struct FinishEvent {
  FinishReason reason = FinishReason::kEos;
  std::string text;       // what was held back and is now known to be wanted
  std::string reasoning;  // the same
  std::string stop_string;
  Usage usage;
  Timings timings;
  uint64_t seed = 0;
};

/// Of consecutive tokens: each one's log-probability given all before it.
struct ScoreResult {
  std::vector<float> logprobs;                 // [tokens], natural log
  std::vector<std::vector<TokenLogprob>> top;  // [tokens], if asked for
};

/// Receives the events of one request, in order, on the engine's delivery
/// thread (never the thread that computes). Must not block.
class GenerationObserver {
 public:
  virtual ~GenerationObserver() = default;
  /// While the prompt is read, after each chunk.
  virtual void OnPromptProgress(int64_t done, int64_t total) = 0;
  /// With prompt_logprobs, after each chunk: of the prompt's tokens from
  /// `first` (at least 1) on.
  virtual void OnPromptLogprobs(int64_t /*first*/,
                                const ScoreResult& /*result*/) {}
  virtual void OnToken(const TokenEvent& event) = 0;
  /// Exactly once, last. A cancelled request and one past its deadline report
  /// what they had got; an error status means that the request failed.
  virtual void OnFinish(const absl::StatusOr<FinishEvent>& result) = 0;
};

struct ScoreRequest {
  std::vector<int32_t> tokens;  // at least two
  int top_logprobs = 0;
  std::string client = {};  // as GenerationRequest's
  int priority = 0;
  absl::Time deadline = absl::InfiniteFuture();
};

class ScoreObserver {
 public:
  virtual ~ScoreObserver() = default;
  virtual void OnProgress(int64_t done, int64_t total) = 0;
  /// Of all tokens but the first. Exactly once, last.
  /// Errors: kCancelled, kDeadlineExceeded.
  virtual void OnFinish(const absl::StatusOr<ScoreResult>& result) = 0;
};

struct EngineOptions {
  int64_t context_tokens = 0;  // longest sequence accepted
  int64_t max_sequences = 16;  // running at once; more wait
  // Waiting behind max_sequences; more are refused with kResourceExhausted.
  int64_t max_queued = 256;
  // Of both together, what one client may have; over 0, to 1.
  double client_share = 1;
  // Wanted between two tokens of a running generation while others' prompts are
  // read, which are cut into pieces for it.
  absl::Duration max_token_gap = absl::InfiniteDuration();
  // As PrefixDirectory's, where the cache outlives the process: what it holds
  // is found again. They outlive the engine.
  std::vector<absl::Span<std::byte>> page_notes;
};

/// Time from one token of a generation to its next, over the last thousand.
struct TokenGaps {
  absl::Duration p50, p99, max;
};

struct EngineStats {
  int64_t running = 0, queued = 0;
  int64_t paused = 0;         // neither, while their clients do not read
  int64_t requests = 0;       // all that came, refused ones included
  int64_t failed = 0;         // refused, or past their deadline
  int64_t refused = 0;        // of these: no place, or too many of their client
  int64_t expired = 0;        // of these: past their deadline, or sure to be
  int64_t cancelled = 0;      // by their client or by Drain
  int64_t prompt_tokens = 0;  // read
  int64_t completion_tokens = 0;  // generated
  int64_t steps = 0;
  // Over the last 10 s of time spent in steps.
  double tokens_per_s = 0;
  double prompt_tokens_per_s = 0;
  absl::Duration step_time;   // in the model, total
  absl::Duration round_time;  // for which the engine has been at its current
                              // round, a step and what belongs to it; 0: idle
  int64_t cached_tokens = 0;  // found in the cache instead of being read
  // Kept for later requests and free when needed, of each node.
  std::vector<int64_t> cached_pages;
  int64_t evicted_pages = 0;
  int64_t preemptions = 0;  // sequences that gave their pages to others
  TokenGaps token_gaps;
  // From arrival to the first token; from one token to the next; from arrival
  // to the end of a request that was not stopped.
  LatencyHistogram first_token, token_gap, request;
  absl::Duration max_token_gap = absl::InfiniteDuration();  // as configured
  int64_t late_tokens = 0;       // that came later than max_token_gap
  int64_t clients = 0;           // that have requests running or waiting
  absl::Duration expected_wait;  // of a request that came now
  int64_t max_sequences = 0, max_queued = 0;  // as configured
};

using RequestId = uint64_t;
class SequencePages;

class Engine {
 public:
  /// The model, tokenizer, allocator and clock outlive the engine. Starts the
  /// engine's threads. Errors: kInvalidArgument for options out of range.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(
      LanguageModel& model, const Tokenizer& tokenizer, PageAllocator& pages,
      const Clock& clock, const EngineOptions& options);
  /// Cancels what is running.
  virtual ~Engine() = default;

  /// Errors at once: kInvalidArgument (ids, sampling, empty prompt, stop,
  /// grammar or schema),
  /// kOutOfRange (the context has no room for the prompt and one token),
  /// kResourceExhausted (queue full, or its client's share of it, with a retry
  /// hint; or the cache is too small for prompt and max_tokens even when
  /// empty), kDeadlineExceeded (its turn would come too late), kUnavailable
  /// (draining). After an error the observer is not called.
  virtual absl::StatusOr<RequestId> Generate(
      GenerationRequest request,
      std::shared_ptr<GenerationObserver> observer) = 0;
  virtual absl::StatusOr<RequestId> Score(
      ScoreRequest request, std::shared_ptr<ScoreObserver> observer) = 0;
  /// Stops the request at the next step, also while it waits; unknown ids are
  /// ignored. Any thread, observers included.
  virtual void Cancel(RequestId id) = 0;
  /// A paused request gets no further after the step that is under way: for a
  /// client that does not read. It keeps no place among those that run, and its
  /// pages only until others need them. Unknown ids are ignored. Any thread,
  /// observers included; calls no observer.
  virtual void SetPaused(RequestId id, bool paused) = 0;

  /// Calls `task` on the engine's thread, when no step is under way, and
  /// returns when it is done. For short work: steps wait meanwhile. Not to be
  /// called by an observer or a task. Errors: kUnavailable when the engine has
  /// stopped.
  virtual absl::Status BetweenSteps(
      absl::FunctionRef<void(SequencePages&)> task) = 0;

  /// Refuses new requests, waits for running ones until `deadline` (wall time),
  /// then cancels the rest and returns when all have finished. Not to be called
  /// by an observer.
  virtual void Drain(absl::Time deadline) = 0;
  virtual EngineStats stats() const = 0;
};

}  // namespace mlad
