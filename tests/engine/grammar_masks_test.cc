#include "engine/grammar_masks.h"

#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/engine/grammar_text.h"

#include "engine/token_constraint.h"

namespace mlad {
namespace {

/// Some thousand short strings over the bytes that JSON is made of, among them
/// broken characters and one token twice, and an end.
class Vocabulary {
 public:
  explicit Vocabulary(int count) {
    std::mt19937_64 random(1);
    const std::string alphabet =
        "{}[]\",: \n\\u0123456789abtrufalsen-+.eE\xC3\xA9\x80";
    tokens_.emplace_back("{\"");
    tokens_.emplace_back("{\"");
    for (const char byte : alphabet) tokens_.emplace_back(1, byte);
    while (static_cast<int>(tokens_.size()) < count) {
      std::string& token = tokens_.emplace_back();
      const size_t length = 1 + random() % 5;
      for (size_t i = 0; i < length; ++i) {
        token += alphabet[random() % alphabet.size()];
      }
    }
  }

  int32_t end() const { return static_cast<int32_t>(tokens_.size()); }
  const std::string& bytes(int32_t id) const { return tokens_[id]; }
  std::shared_ptr<const MaskVocabulary> Make() const {
    std::vector<TokenTrie::Token> tokens;
    for (int32_t id = 0; id < end(); ++id) tokens.push_back({tokens_[id], id});
    return std::make_shared<MaskVocabulary>(
        MaskVocabulary{TokenTrie(std::move(tokens)), {end()}, end() + 1});
  }

 private:
  std::vector<std::string> tokens_;
};

std::shared_ptr<GrammarMasks> JsonMasks(const Vocabulary& vocabulary) {
  return std::make_shared<GrammarMasks>(
      MustCompile(OutputFormat::Kind::kJsonObject, ""), vocabulary.Make());
}

/// Draws `count` tokens, each of those that `masks` allows.
template <typename Check>
std::string Walk(const Vocabulary& vocabulary, GrammarMasks& masks, int count,
                 uint64_t seed, const Check& check) {
  std::mt19937_64 random(seed);
  std::string text;
  auto state = masks.start();
  for (int i = 0; i < count; ++i) {
    const auto mask = masks.Mask(state);
    EXPECT_TRUE(mask.ok()) << mask.status();
    if (!mask.ok()) break;
    check(text, **mask);
    std::vector<int32_t> allowed;
    for (int32_t id = 0; id < vocabulary.end(); ++id) {
      if ((*mask)->Allows(id)) allowed.push_back(id);
    }
    if (allowed.empty()) break;
    const std::string& token =
        vocabulary.bytes(allowed[random() % allowed.size()]);
    text += token;
    state = masks.Advance(state, token);
    EXPECT_NE(state, GrammarAutomaton::kDead) << text;
  }
  return text;
}

TEST(GrammarMasks, AllowExactlyTheTokensThatTheGrammarDoes) {
  const Vocabulary vocabulary(3000);
  const auto masks = JsonMasks(vocabulary);
  GrammarAutomaton plain = MustCompile(OutputFormat::Kind::kJsonObject, "");
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Walk(vocabulary, *masks, 12, seed,
         [&](const std::string& text, const TokenMask& mask) {
           auto state = plain.start();
           for (const char c : text) {
             state = plain.Next(state, static_cast<uint8_t>(c));
           }
           for (int32_t id = 0; id < vocabulary.end(); ++id) {
             auto after = state;
             for (const char c : vocabulary.bytes(id)) {
               if (after == GrammarAutomaton::kDead) break;
               after = plain.Next(after, static_cast<uint8_t>(c));
             }
             ASSERT_EQ(mask.Allows(id), after != GrammarAutomaton::kDead)
                 << "'" << vocabulary.bytes(id) << "' after " << text;
           }
           ASSERT_EQ(mask.Allows(vocabulary.end()), plain.Accepts(state))
               << text;
         });
  }
}

TEST(GrammarMasks, AreComputedOncePerState) {
  const Vocabulary vocabulary(500);
  const auto masks = JsonMasks(vocabulary);
  const auto first = masks->Mask(masks->start());
  const auto again = masks->Mask(masks->start());
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(*first, *again);
  // Within a string, every letter leads back to the same state.
  const auto in_string = masks->Advance(masks->start(), "{\"a");
  EXPECT_EQ(masks->Advance(in_string, "bcd"), in_string);
}

TEST(GrammarMasks, AreEmptyWhereTheTextCannotGoOn) {
  const Vocabulary vocabulary(500);
  GrammarMasks masks(
      MustCompile(OutputFormat::Kind::kGrammar, "root ::= \"a\" \"?\""),
      vocabulary.Make());
  const auto mask = masks.Mask(masks.Advance(masks.start(), "a"));
  ASSERT_TRUE(mask.ok());
  EXPECT_TRUE((*mask)->empty());  // no token spells "?"
}

TEST(GrammarMasks, TooManyStatesAreAnErrorNotMemory) {
  const Vocabulary vocabulary(500);
  // Counts to 10,000 in five places at once, so states never come back.
  std::string grammar = "root ::= a\n";
  grammar += "a ::= ([ab] [bt] | [abt]{3}){9999} [abt]{9999} \"u\"\n";
  GrammarMasks masks(MustCompile(OutputFormat::Kind::kGrammar, grammar),
                     vocabulary.Make());
  auto state = masks.start();
  absl::Status status;
  for (int i = 0; i < 60000 && status.ok(); ++i) {
    state = masks.Advance(state, "bbb");
    if (state == GrammarAutomaton::kDead) {
      status = masks.Mask(state).status();
      break;
    }
    if (i % 500 == 0) status = masks.Mask(state).status();
  }
  EXPECT_TRUE(masks.worn_out());
}

TEST(TokenConstraint, GivesTheMasksOfTheTokensThatWereAccepted) {
  const Vocabulary vocabulary(500);
  const auto masks = JsonMasks(vocabulary);
  EventDelivery worker;
  TokenConstraint constraint(masks, worker);
  auto state = masks->start();
  for (const char* token : {"{", "\"a", "b\"", ":", " 1", "}"}) {
    const auto allowed = constraint.Await();
    ASSERT_TRUE(allowed.ok());
    EXPECT_FALSE(allowed->may_end);
    EXPECT_EQ(allowed->mask, *masks->Mask(state));
    constraint.Accept(token);
    state = masks->Advance(state, token);
  }
  const auto last = constraint.Await();
  ASSERT_TRUE(last.ok());
  EXPECT_TRUE(last->may_end);
  EXPECT_TRUE(last->mask->Allows(vocabulary.end()));
}

TEST(TokenConstraint, MayGoWhileTheWorkerIsBusy) {
  const Vocabulary vocabulary(500);
  const auto masks = JsonMasks(vocabulary);
  EventDelivery worker;
  for (int i = 0; i < 50; ++i) {
    TokenConstraint constraint(masks, worker);
    constraint.Accept("{");
  }
}

}  // namespace
}  // namespace mlad
