#include "engine/grammar.h"

#include <regex>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/engine/grammar_text.h"

#include "engine/code_points.h"
#include "model/utf8.h"

namespace mlad {
namespace {

using testing::HasSubstr;

GrammarAutomaton Compile(std::string_view text) {
  return MustCompile(OutputFormat::Kind::kGrammar, text);
}

std::string Refusal(std::string_view text) {
  const auto compiled =
      CompileFormat({OutputFormat::Kind::kGrammar, std::string(text)});
  EXPECT_EQ(compiled.status().code(), absl::StatusCode::kInvalidArgument)
      << text;
  return std::string(compiled.status().message());
}

// All strings of up to five letters of "abc", against std::regex.
TEST(Grammar, MatchesWhatTheRegularExpressionMatches) {
  const struct {
    const char* grammar;
    const char* expression;
  } kCases[] = {
      {"root ::= \"a\" \"b\"* \"c\"", "ab*c"},
      {"root ::= (\"a\" | \"b\" \"c\")+", "(a|bc)+"},
      {"root ::= [ab]{2,3} \"c\"?", "[ab]{2,3}c?"},
      {"root ::= [^a]{2} | \"a\"", "[bc]{2}|a"},
      {"root ::= ([ab]* \"c\"?)*", "([ab]*c?)*"},
      {"root ::= x y\nx ::= \"a\" |\ny ::= x \"b\" | # nothing\n", "a?(a?b)?"},
      {"root ::= [a-b]{,2}", nullptr},
      {"root ::= \"ab\"{0} [\\x63]{1,}", "c+"},
  };
  for (const auto& test : kCases) {
    if (test.expression == nullptr) {
      EXPECT_THAT(Refusal(test.grammar), HasSubstr("number of repeats"));
      continue;
    }
    GrammarAutomaton automaton = Compile(test.grammar);
    const std::regex expression(test.expression);
    for (int length = 0; length <= 5; ++length) {
      int count = 1;
      for (int i = 0; i < length; ++i) count *= 3;
      for (int n = 0; n < count; ++n) {
        std::string text;
        for (int i = 0, rest = n; i < length; ++i, rest /= 3) {
          text += static_cast<char>('a' + rest % 3);
        }
        EXPECT_EQ(Matches(automaton, text), std::regex_match(text, expression))
            << test.grammar << " on '" << text << "'";
      }
    }
  }
}

TEST(Grammar, RulesNestAsNoRegularExpressionCan) {
  GrammarAutomaton automaton = Compile("root ::= \"(\" root \")\" root | \"\"");
  EXPECT_TRUE(Matches(automaton, "(()(()))()"));
  EXPECT_FALSE(Matches(automaton, "(()(()"));
  EXPECT_FALSE(Matches(automaton, "())"));
  const std::string deep(500, '(');
  EXPECT_TRUE(Matches(automaton, deep + std::string(500, ')')));
  EXPECT_FALSE(Matches(automaton, deep + std::string(501, ')')));
}

TEST(Grammar, SetsAreOfCharactersNotBytes) {
  GrammarAutomaton automaton = Compile("root ::= [α-ω\\U0001F600] .");
  EXPECT_TRUE(Matches(automaton, "λx"));
  EXPECT_TRUE(Matches(automaton, "ω€"));
  EXPECT_TRUE(Matches(automaton, "😀😀"));
  EXPECT_FALSE(Matches(automaton, "Ωx"));
  EXPECT_FALSE(Matches(automaton, "λ\x80"));
  EXPECT_FALSE(Matches(automaton, "λ\xED\xA0\x80"));  // a surrogate
}

TEST(Grammar, DotIsEveryCharacterAndNothingElse) {
  GrammarAutomaton automaton = Compile("root ::= .");
  for (uint32_t code = 0; code <= 0x110000; code += code < 0x1000 ? 1 : 7) {
    if (!IsCodePoint(code)) continue;
    std::string text;
    AppendUtf8(code, text);
    ASSERT_TRUE(Matches(automaton, text)) << code;
    ASSERT_EQ(DecodeUtf8(text), code);
  }
  // Of all sequences of two bytes, those that are UTF-8.
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first),
                                static_cast<char>(second)};
      const Utf8Step step = FirstUtf8(text);
      ASSERT_EQ(Matches(automaton, text),
                step.kind == Utf8Kind::kCharacter && step.bytes == 2);
    }
  }
}

TEST(Grammar, EscapesAndQuotesAreRead) {
  GrammarAutomaton automaton =
      Compile("root ::= \"\\\"\\\\\\n\\x41\\u00e9\" [\\]\\-\\^a-]");
  EXPECT_TRUE(Matches(automaton, "\"\\\nAé]"));
  EXPECT_TRUE(Matches(automaton, "\"\\\nAé-"));
  EXPECT_FALSE(Matches(automaton, "\"\\\nAé\\"));
}

TEST(Grammar, TheSameStateComesBack) {
  GrammarAutomaton automaton = Compile("root ::= \"[\" [a-z]* \"]\"");
  const auto open = automaton.Next(automaton.start(), '[');
  EXPECT_EQ(automaton.Next(open, 'a'), open);
  EXPECT_EQ(automaton.Next(open, 'z'), open);
}

TEST(Grammar, WrongOnesAreRefusedWithTheLine) {
  EXPECT_THAT(Refusal(""), HasSubstr("no rule 'root'"));
  EXPECT_THAT(Refusal("root ::= a"),
              HasSubstr("'a', which it does not define"));
  EXPECT_THAT(Refusal("root ::= \"a\"\nb ::= \"x"), HasSubstr("Line 2"));
  EXPECT_THAT(Refusal("root ::= \"a\"\nroot ::= \"b\""), HasSubstr("twice"));
  EXPECT_THAT(Refusal("root ::= (\"a\""), HasSubstr("')'"));
  EXPECT_THAT(Refusal("root ::= \"a\")"), HasSubstr("closes nothing"));
  EXPECT_THAT(Refusal("root ::= [b-a]"), HasSubstr("before it begins"));
  EXPECT_THAT(Refusal("root ::= []"), HasSubstr("no characters"));
  EXPECT_THAT(Refusal("root ::= \"a\"{3,2}"), HasSubstr("before it begins"));
  EXPECT_THAT(Refusal("root ::= \"a\"{99999}"), HasSubstr("more than 10000"));
  EXPECT_THAT(Refusal("root ::= \"\\q\""), HasSubstr("no such escape"));
  EXPECT_THAT(Refusal("root ::= \"\\uD800\""), HasSubstr("no such character"));
  EXPECT_THAT(Refusal("root = \"a\""), HasSubstr("'::='"));
  EXPECT_THAT(Refusal("root ::= \"\xFF\""), HasSubstr("not UTF-8"));
  EXPECT_THAT(Refusal("root ::= " + std::string(100, '(') + "\"a\"" +
                      std::string(100, ')')),
              HasSubstr("nested more than 64 deep"));
}

TEST(Grammar, LeftRecursionIsRefused) {
  EXPECT_THAT(Refusal("root ::= root \"a\" | \"b\""),
              HasSubstr("'root' of the grammar begins with itself"));
  EXPECT_THAT(Refusal("root ::= x\nx ::= \"\" y\ny ::= \"a\"? x"),
              HasSubstr("begins with itself"));
  Compile("root ::= x\nx ::= \"a\" x | \"\"");  // at the end is fine
}

TEST(Grammar, GrammarsThatWouldExplodeAreRefused) {
  EXPECT_THAT(Refusal("root ::= (((\"a\"{9999}){9999}){9999})"),
              HasSubstr("too large"));
  EXPECT_THAT(Refusal("root ::= (((\"\"{9999}){9999}){9999})"),
              HasSubstr("too large"));
  // Two ways to read each level: 2^40 stacks before the first byte.
  std::string ambiguous = "root ::= r0\n";
  for (int i = 0; i < 40; ++i) {
    const std::string next = absl::StrCat("r", i + 1);
    absl::StrAppend(&ambiguous, "r", i, " ::= ", next, " \"x\" | ", next,
                    " \"y\"\n");
  }
  EXPECT_THAT(Refusal(ambiguous + "r40 ::= \"z\"\n"),
              HasSubstr("too many ways"));
}

}  // namespace
}  // namespace mlad
