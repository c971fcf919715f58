// Compiled grammars, kept for the next request with the same one.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/grammar_masks.h"
#include "engine/output_format.h"
#include "model/tokenizer.h"

namespace mlad {

/// The tokens that spell text, and those that end it.
MaskVocabulary MakeMaskVocabulary(const Tokenizer& tokenizer);

/// Thread-safe. The vocabulary is sorted when the first grammar comes.
class GrammarStore {
 public:
  explicit GrammarStore(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  /// Null for Kind::kFree. Errors: those of CompileFormat.
  absl::StatusOr<std::shared_ptr<GrammarMasks>> Get(const OutputFormat& format);

 private:
  struct Kept {
    OutputFormat format;
    std::shared_ptr<GrammarMasks> masks;
  };
  const Tokenizer& tokenizer_;
  std::mutex mutex_;  // of the rest
  std::shared_ptr<const MaskVocabulary> vocabulary_;
  std::vector<Kept> kept_;  // the latest used last
};

}  // namespace mlad
