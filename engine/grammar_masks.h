// Which tokens a grammar allows next.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

#include "engine/grammar_automaton.h"
#include "engine/token_mask.h"
#include "engine/token_trie.h"

namespace mlad {

/// What the masks of all grammars share.
struct MaskVocabulary {
  TokenTrie trie;
  std::vector<int32_t> end_ids;  // of generation: where a text may end
  int64_t size = 0;
};

/// A grammar over a vocabulary: masks are computed when they are first asked
/// for and kept. A mask over 129,280 tokens takes some milliseconds the first
/// time, so this is for a thread that no step waits for. Thread-safe.
class GrammarMasks {
 public:
  using State = GrammarAutomaton::State;

  GrammarMasks(GrammarAutomaton automaton,
               std::shared_ptr<const MaskVocabulary> vocabulary);

  State start() const { return start_; }
  /// The state after a token's bytes, which the mask of `state` allowed.
  State Advance(State state, std::string_view bytes);
  /// Empty when the text cannot go on, nor end with one of end_ids.
  /// Errors: kResourceExhausted when the grammar has taken too many states, or
  /// takes too long.
  absl::StatusOr<std::shared_ptr<const TokenMask>> Mask(State state);
  /// True when the text may end in `state`.
  bool Accepts(State state);
  /// Time to compile the grammar anew for further requests.
  bool worn_out();

 private:
  struct Kept {
    std::shared_ptr<const TokenMask> mask;
    int64_t last_use = 0;
  };
  absl::StatusOr<std::shared_ptr<const TokenMask>> Compute(State state);
  void Keep(State state, std::shared_ptr<const TokenMask> mask);

  const std::shared_ptr<const MaskVocabulary> vocabulary_;
  const State start_;
  std::mutex mutex_;  // of the rest
  GrammarAutomaton automaton_;
  absl::flat_hash_map<State, Kept> masks_;
  int64_t uses_ = 0;
  std::vector<State> path_;  // [depth] of the walk over the trie
};

}  // namespace mlad
