#include "engine/grammar_masks.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace mlad {
namespace {

// 4 MiB for a vocabulary of 129,280 tokens.
constexpr size_t kMaxMasks = 256;
// Readings looked at for one mask: half a second or so.
constexpr int64_t kMaxWork = int64_t{1} << 25;

}  // namespace

GrammarMasks::GrammarMasks(GrammarAutomaton automaton,
                           std::shared_ptr<const MaskVocabulary> vocabulary)
    : vocabulary_(std::move(vocabulary)),
      start_(automaton.start()),
      automaton_(std::move(automaton)),
      path_(static_cast<size_t>(vocabulary_->trie.max_depth()) + 1) {}

GrammarMasks::State GrammarMasks::Advance(State state, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  for (const char byte : bytes) {
    if (state == GrammarAutomaton::kDead) break;
    state = automaton_.Next(state, static_cast<uint8_t>(byte));
  }
  return state;
}

bool GrammarMasks::Accepts(State state) {
  const std::lock_guard lock(mutex_);
  return state != GrammarAutomaton::kDead && automaton_.Accepts(state);
}

bool GrammarMasks::worn_out() {
  const std::lock_guard lock(mutex_);
  return automaton_.half_full();
}

absl::StatusOr<std::shared_ptr<const TokenMask>> GrammarMasks::Mask(
    State state) {
  const std::lock_guard lock(mutex_);
  if (const auto kept = masks_.find(state); kept != masks_.end()) {
    kept->second.last_use = ++uses_;
    return kept->second.mask;
  }
  MLAD_ASSIGN_OR_RETURN(std::shared_ptr<const TokenMask> mask, Compute(state));
  Keep(state, mask);
  return mask;
}

absl::StatusOr<std::shared_ptr<const TokenMask>> GrammarMasks::Compute(
    State state) {
  auto mask = std::make_shared<TokenMask>(vocabulary_->size);
  if (state == GrammarAutomaton::kDead) return mask;
  const absl::Span<const TokenTrie::Vertex> vertices =
      vocabulary_->trie.vertices();
  const int64_t work_before = automaton_.work();
  path_[0] = state;
  for (size_t i = 0; i < vertices.size();) {
    const TokenTrie::Vertex& vertex = vertices[i];
    const State next = automaton_.Next(path_[vertex.depth - 1], vertex.byte);
    if (next == GrammarAutomaton::kDead) {
      i = static_cast<size_t>(vertex.subtree_end);
      continue;
    }
    path_[vertex.depth] = next;
    for (int32_t t = vertex.tokens_begin; t < vertex.tokens_end; ++t) {
      mask->Allow(vocabulary_->trie.ids()[t]);
    }
    ++i;
    if (automaton_.work() - work_before > kMaxWork) break;
  }
  if (automaton_.full() || automaton_.work() - work_before > kMaxWork) {
    return absl::ResourceExhaustedError(
        "The grammar has too many states for this text; ask again, or use a "
        "grammar with fewer alternatives that begin alike and smaller limits "
        "of repeats.");
  }
  if (automaton_.Accepts(state)) {
    for (const int32_t id : vocabulary_->end_ids) mask->Allow(id);
  }
  return mask;
}

void GrammarMasks::Keep(State state, std::shared_ptr<const TokenMask> mask) {
  if (masks_.size() == kMaxMasks) {
    masks_.erase(std::min_element(
        masks_.begin(), masks_.end(), [](const auto& a, const auto& b) {
          return a.second.last_use < b.second.last_use;
        }));
  }
  masks_[state] = {std::move(mask), ++uses_};
}

}  // namespace mlad
