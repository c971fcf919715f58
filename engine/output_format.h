// What a generated text must be like.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "engine/grammar_automaton.h"

namespace mlad {

struct OutputFormat {
  enum class Kind : uint8_t { kFree, kJsonObject, kJsonSchema, kGrammar };
  Kind kind = Kind::kFree;
  std::string text;  // the schema or the grammar, up to kMaxGrammarBytes
};

/// Errors: kInvalidArgument with what is wrong in the schema or grammar.
absl::StatusOr<GrammarAutomaton> CompileFormat(const OutputFormat& format);

}  // namespace mlad
