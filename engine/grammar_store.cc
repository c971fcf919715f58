#include "engine/grammar_store.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace mlad {
namespace {

// Each takes some 10 MB with its states and masks.
constexpr size_t kMaxKept = 8;

}  // namespace

MaskVocabulary MakeMaskVocabulary(const Tokenizer& tokenizer) {
  const absl::Span<const int32_t> ends = tokenizer.end_of_generation_ids();
  std::vector<TokenTrie::Token> tokens;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.TokenBytes(id);
    const bool is_text = !bytes.empty() && !tokenizer.IsControl(id) &&
                         std::find(ends.begin(), ends.end(), id) == ends.end();
    if (is_text) tokens.push_back({bytes, id});
  }
  return {TokenTrie(std::move(tokens)),
          {ends.begin(), ends.end()},
          tokenizer.vocab_size()};
}

absl::StatusOr<std::shared_ptr<GrammarMasks>> GrammarStore::Get(
    const OutputFormat& format) {
  if (format.kind == OutputFormat::Kind::kFree) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto known =
      std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
        return kept.format.kind == format.kind &&
               kept.format.text == format.text;
      });
  if (known != kept_.end() && !known->masks->worn_out()) {
    std::rotate(known, known + 1, kept_.end());
    return kept_.back().masks;
  }
  MLAD_ASSIGN_OR_RETURN(GrammarAutomaton automaton, CompileFormat(format));
  if (vocabulary_ == nullptr) {
    vocabulary_ =
        std::make_shared<MaskVocabulary>(MakeMaskVocabulary(tokenizer_));
  }
  auto masks =
      std::make_shared<GrammarMasks>(std::move(automaton), vocabulary_);
  if (known != kept_.end()) {
    kept_.erase(known);
  } else if (kept_.size() == kMaxKept) {
    kept_.erase(kept_.begin());
  }
  kept_.push_back({format, masks});
  return masks;
}

}  // namespace mlad
