// Context-free grammars over Unicode text, and the text that they are written
// in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/code_points.h"

namespace mlad {

struct GrammarExpression {
  enum class Kind : uint8_t {
    kText,        // these bytes
    kCharacters,  // one character of `ranges`
    kRule,        // what the rule `rule` matches
    kSequence,    // children one after the other; none: nothing
    kChoice,      // one of the children
    kRepeat,      // children[0], `least` to `most` times
  };
  Kind kind = Kind::kSequence;
  std::string text;
  std::vector<CodePointRange> ranges;  // as NormalizeCodePoints gives them
  int32_t rule = 0;
  int32_t least = 0;
  int32_t most = -1;  // -1: no limit
  std::vector<GrammarExpression> children;
};

struct GrammarRule {
  std::string name;
  GrammarExpression expression;
};

struct Grammar {
  std::vector<GrammarRule> rules;
  int32_t root = 0;
};

inline constexpr size_t kMaxGrammarBytes = size_t{1} << 17;
inline constexpr int32_t kMaxGrammarRules = 8192;
inline constexpr int32_t kMaxGrammarRepeats = 10000;

/// Parses the notation that is known as GBNF:
///
///     root ::= "yes" | "no" | list     # the rule "root" is the whole text
///     list ::= [a-z]+ ("," [^,\n]{1,8})*
///
/// A rule goes on up to the next "name ::=". Texts and sets know the escapes
/// \n \r \t \\ \" \[ \] \^ \- \xHH \uHHHH \UHHHHHHHH; "." is any character.
/// Errors: kInvalidArgument with the line and what is wrong there.
absl::StatusOr<Grammar> ParseGrammar(std::string_view text);

}  // namespace mlad
