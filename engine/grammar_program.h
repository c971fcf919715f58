// A grammar as instructions over bytes.
#pragma once

#include <bitset>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

#include "engine/grammar.h"

namespace mlad {

using ByteSet = std::bitset<256>;

struct GrammarInstruction {
  enum class Op : uint8_t {
    kBytes,   // takes a byte of byte_sets[operand], goes on at `next`
    kSplit,   // goes on at `next` and at `operand`
    kCall,    // goes on at `operand`, and after its kReturn at `next`
    kReturn,  // to the caller; without one the text may end
  };
  Op op = Op::kReturn;
  int32_t operand = 0;
  int32_t next = 0;
};

struct GrammarProgram {
  std::vector<GrammarInstruction> code;  // at most kMaxGrammarInstructions
  std::vector<ByteSet> byte_sets;
  int32_t start = 0;

  /// A rule that ends by calling another needs no place to return to.
  bool IsTailCall(const GrammarInstruction& call) const {
    return code[call.next].op == GrammarInstruction::Op::kReturn;
  }
};

inline constexpr size_t kMaxGrammarInstructions = 200000;

/// Errors: kInvalidArgument when a rule begins with itself, directly or through
/// others (the matching would never take a byte), or when repeats written out
/// make the program too large.
absl::StatusOr<GrammarProgram> CompileGrammar(const Grammar& grammar);

}  // namespace mlad
