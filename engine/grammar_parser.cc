#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "engine/grammar.h"
#include "model/utf8.h"

namespace mlad {
namespace {

constexpr int kMaxNesting = 64;

using Kind = GrammarExpression::Kind;

class GrammarParser {
 public:
  explicit GrammarParser(std::string_view text) : text_(text) {}

  absl::StatusOr<Grammar> Parse() {
    SkipBlanks();
    while (!AtEnd()) MLAD_RETURN_IF_ERROR(ParseRule());
    for (size_t i = 0; i < grammar_.rules.size(); ++i) {
      if (defined_[i]) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("The grammar uses the rule '", grammar_.rules[i].name,
                       "', which it does not define."));
    }
    const auto root = numbers_.find("root");
    if (root == numbers_.end()) {
      return absl::InvalidArgumentError(
          "The grammar has no rule 'root', with which a text begins.");
    }
    grammar_.root = root->second;
    return std::move(grammar_);
  }

 private:
  bool AtEnd() const { return position_ == text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[position_]; }
  bool Skip(std::string_view expected) {
    if (text_.substr(position_, expected.size()) != expected) return false;
    position_ += expected.size();
    return true;
  }

  absl::Status Error(absl::string_view sentence) const {
    const auto line =
        1 + std::count(text_.begin(),
                       text_.begin() + static_cast<std::ptrdiff_t>(position_),
                       '\n');
    return absl::InvalidArgumentError(
        absl::StrCat("Line ", line, " of the grammar: ", sentence));
  }

  void SkipBlanks() {
    while (!AtEnd()) {
      if (absl::ascii_isspace(static_cast<unsigned char>(Peek()))) {
        ++position_;
      } else if (Peek() == '#') {
        while (!AtEnd() && Peek() != '\n') ++position_;
      } else {
        return;
      }
    }
  }

  std::string_view ReadName() {
    const size_t begin = position_;
    while (!AtEnd() &&
           (absl::ascii_isalnum(static_cast<unsigned char>(Peek())) ||
            Peek() == '-' || Peek() == '_')) {
      ++position_;
    }
    return text_.substr(begin, position_ - begin);
  }

  absl::StatusOr<int32_t> RuleNumber(std::string_view name) {
    const auto [entry, is_new] = numbers_.try_emplace(
        std::string(name), static_cast<int32_t>(grammar_.rules.size()));
    if (is_new) {
      if (entry->second == kMaxGrammarRules) {
        return Error(
            absl::StrCat("there are more than ", kMaxGrammarRules, " rules"));
      }
      grammar_.rules.push_back({std::string(name), {}});
      defined_.push_back(false);
    }
    return entry->second;
  }

  absl::Status ParseRule() {
    const std::string_view name = ReadName();
    if (name.empty()) return Error("a rule begins with its name");
    MLAD_ASSIGN_OR_RETURN(const int32_t number, RuleNumber(name));
    if (defined_[number]) {
      return Error(absl::StrCat("the rule '", grammar_.rules[number].name,
                                "' is there twice"));
    }
    SkipBlanks();
    if (!Skip("::=")) {
      return Error(absl::StrCat("after the rule's name '",
                                grammar_.rules[number].name, "' comes '::='"));
    }
    SkipBlanks();
    MLAD_ASSIGN_OR_RETURN(GrammarExpression expression, ParseChoice(0));
    grammar_.rules[number].expression = std::move(expression);
    defined_[number] = true;
    if (!AtEnd() && Peek() == ')') return Error("')' closes nothing");
    return absl::OkStatus();
  }

  absl::StatusOr<GrammarExpression> ParseChoice(int nesting) {
    GrammarExpression choice;
    choice.kind = Kind::kChoice;
    do {
      SkipBlanks();
      MLAD_ASSIGN_OR_RETURN(GrammarExpression sequence, ParseSequence(nesting));
      choice.children.push_back(std::move(sequence));
    } while (Skip("|"));
    if (choice.children.size() > 1) return choice;
    GrammarExpression only = std::move(choice.children[0]);
    return only;
  }

  /// True before "name ::=".
  bool AtRule() {
    const size_t begin = position_;
    const bool named = !ReadName().empty();
    SkipBlanks();
    const bool is_rule = named && Skip("::=");
    position_ = begin;
    return is_rule;
  }

  absl::StatusOr<GrammarExpression> ParseSequence(int nesting) {
    GrammarExpression sequence;
    while (!AtEnd() && Peek() != '|' && Peek() != ')' && !AtRule()) {
      MLAD_ASSIGN_OR_RETURN(GrammarExpression item, ParseItem(nesting));
      MLAD_RETURN_IF_ERROR(ParseRepeats(item));
      sequence.children.push_back(std::move(item));
      SkipBlanks();
    }
    return sequence;
  }

  absl::StatusOr<GrammarExpression> ParseItem(int nesting) {
    GrammarExpression item;
    if (Skip("\"")) {
      item.kind = Kind::kText;
      while (!Skip("\"")) {
        MLAD_ASSIGN_OR_RETURN(const uint32_t character,
                              ReadCharacter("the text lacks its closing '\"'"));
        AppendUtf8(character, item.text);
      }
    } else if (Skip("[")) {
      item.kind = Kind::kCharacters;
      MLAD_ASSIGN_OR_RETURN(item.ranges, ReadSet());
    } else if (Skip(".")) {
      item.kind = Kind::kCharacters;
      item.ranges = NormalizeCodePoints({}, /*negated=*/true);
    } else if (Skip("(")) {
      if (nesting == kMaxNesting) {
        return Error(
            absl::StrCat("groups are nested more than ", kMaxNesting, " deep"));
      }
      MLAD_ASSIGN_OR_RETURN(item, ParseChoice(nesting + 1));
      if (!Skip(")")) return Error("the group lacks its ')'");
    } else {
      const std::string_view name = ReadName();
      if (name.empty()) {
        return Error("expected a text, a set, a group or the name of a rule");
      }
      item.kind = Kind::kRule;
      MLAD_ASSIGN_OR_RETURN(item.rule, RuleNumber(name));
    }
    return item;
  }

  absl::StatusOr<std::vector<CodePointRange>> ReadSet() {
    constexpr absl::string_view kOpen = "the set lacks its closing ']'";
    const bool negated = Skip("^");
    std::vector<CodePointRange> ranges;
    while (!Skip("]")) {
      CodePointRange range;
      MLAD_ASSIGN_OR_RETURN(range.first, ReadCharacter(kOpen));
      range.last = range.first;
      if (Peek() == '-' && text_.substr(position_, 2) != "-]") {
        Skip("-");
        MLAD_ASSIGN_OR_RETURN(range.last, ReadCharacter(kOpen));
        if (range.last < range.first) {
          return Error("a range ends before it begins");
        }
      }
      ranges.push_back(range);
    }
    ranges = NormalizeCodePoints(std::move(ranges), negated);
    if (ranges.empty()) return Error("a set has no characters");
    return ranges;
  }

  /// One character or escape of a text or set; `open`: what to say at the end
  /// of the grammar.
  absl::StatusOr<uint32_t> ReadCharacter(absl::string_view open) {
    if (AtEnd()) return Error(open);
    if (Skip("\\")) return ReadEscape(open);
    const Utf8Step step = FirstUtf8(text_.substr(position_));
    if (step.kind != Utf8Kind::kCharacter) return Error("it is not UTF-8");
    const uint32_t code = DecodeUtf8(text_.substr(position_, step.bytes));
    position_ += step.bytes;
    return code;
  }

  absl::StatusOr<uint32_t> Checked(uint32_t code) const {
    if (!IsCodePoint(code)) {
      return Error("there is no such character");
    }
    return code;
  }

  absl::StatusOr<uint32_t> ReadEscape(absl::string_view open) {
    if (AtEnd()) return Error(open);
    const char letter = text_[position_++];
    switch (letter) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return ReadHex(2);
      case 'u':
        return ReadHex(4);
      case 'U':
        return ReadHex(8);
      default:
        break;
    }
    if (absl::StrContains("\\\"[]^-", letter)) {
      return static_cast<uint32_t>(letter);
    }
    return Error("there is no such escape");
  }

  absl::StatusOr<uint32_t> ReadHex(int digits) {
    uint32_t code = 0;
    for (int i = 0; i < digits; ++i) {
      const auto digit = static_cast<unsigned char>(Peek());
      if (!absl::ascii_isxdigit(digit)) {
        return Error(
            absl::StrCat("the escape needs ", digits, " hexadecimal digits"));
      }
      code = code << 4 |
             static_cast<uint32_t>(digit <= '9' ? digit - '0'
                                                : (digit | 0x20) - 'a' + 10);
      ++position_;
    }
    return Checked(code);
  }

  /// Wraps `item` in the repeats that follow it.
  absl::Status ParseRepeats(GrammarExpression& item) {
    for (int wraps = 0;; ++wraps) {
      GrammarExpression repeat;
      repeat.kind = Kind::kRepeat;
      if (Skip("*")) {
        repeat.least = 0;
      } else if (Skip("+")) {
        repeat.least = 1;
      } else if (Skip("?")) {
        repeat.most = 1;
      } else if (Skip("{")) {
        MLAD_RETURN_IF_ERROR(ReadCounts(repeat));
      } else {
        return absl::OkStatus();
      }
      if (wraps == kMaxNesting) return Error("too many repeats of repeats");
      repeat.children.push_back(std::move(item));
      item = std::move(repeat);
    }
  }

  /// "m}", "m,}" or "m,n}"
  absl::Status ReadCounts(GrammarExpression& repeat) {
    MLAD_ASSIGN_OR_RETURN(repeat.least, ReadCount());
    repeat.most = repeat.least;
    if (Skip(",")) {
      repeat.most = -1;
      if (Peek() != '}') {
        MLAD_ASSIGN_OR_RETURN(repeat.most, ReadCount());
        if (repeat.most < repeat.least) {
          return Error("a repeat ends before it begins");
        }
      }
    }
    if (!Skip("}")) return Error("the repeat lacks its '}'");
    return absl::OkStatus();
  }

  absl::StatusOr<int32_t> ReadCount() {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(Peek()))) {
      return Error("expected a number of repeats");
    }
    int32_t count = 0;
    while (absl::ascii_isdigit(static_cast<unsigned char>(Peek()))) {
      count = count * 10 + (Peek() - '0');
      if (count > kMaxGrammarRepeats) {
        return Error(absl::StrCat("more than ", kMaxGrammarRepeats,
                                  " repeats; use '*' for no limit"));
      }
      ++position_;
    }
    return count;
  }

  const std::string_view text_;
  size_t position_ = 0;
  Grammar grammar_;
  absl::flat_hash_map<std::string, int32_t> numbers_;  // of rules, by name
  std::vector<bool> defined_;
};

}  // namespace

absl::StatusOr<Grammar> ParseGrammar(std::string_view text) {
  return GrammarParser(text).Parse();
}

}  // namespace mlad
