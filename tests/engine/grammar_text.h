// Matching and making texts of a grammar, for tests.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "engine/output_format.h"

namespace mlad {

inline GrammarAutomaton MustCompile(OutputFormat::Kind kind,
                                    std::string_view text) {
  auto automaton = CompileFormat({kind, std::string(text)});
  EXPECT_TRUE(automaton.ok()) << automaton.status();
  // A grammar of the empty text, so that the test fails and goes on.
  return automaton.ok()
             ? *std::move(automaton)
             : *CompileFormat({OutputFormat::Kind::kGrammar, "root ::= \"\""});
}

/// True when the grammar allows exactly `text`.
inline bool Matches(GrammarAutomaton& automaton, std::string_view text) {
  GrammarAutomaton::State state = automaton.start();
  for (const char byte : text) {
    state = automaton.Next(state, static_cast<uint8_t>(byte));
    if (state == GrammarAutomaton::kDead) return false;
  }
  return automaton.Accepts(state);
}

/// A text of the grammar: random bytes of those allowed, and its end the more
/// probable the longer it is; nothing when it did not end within `limit` bytes.
inline std::string RandomText(GrammarAutomaton& automaton, uint64_t seed,
                              size_t limit = 2000) {
  std::mt19937_64 random(seed);
  std::string text;
  GrammarAutomaton::State state = automaton.start();
  while (text.size() < limit) {
    std::vector<uint8_t> bytes;
    for (int byte = 0; byte < 256; ++byte) {
      if (automaton.Next(state, static_cast<uint8_t>(byte)) !=
          GrammarAutomaton::kDead) {
        bytes.push_back(static_cast<uint8_t>(byte));
      }
    }
    if (automaton.Accepts(state) && (bytes.empty() || random() % 4 == 0)) {
      return text;
    }
    if (bytes.empty()) break;
    // What closes something is preferred, or nested texts never end.
    uint8_t byte = bytes[random() % bytes.size()];
    for (const uint8_t closing : bytes) {
      const bool closes = closing == '}' || closing == ']' || closing == '"';
      if (closes && random() % 3 == 0) byte = closing;
    }
    text.push_back(static_cast<char>(byte));
    state = automaton.Next(state, byte);
  }
  return "";
}

}  // namespace mlad
