#include "engine/grammar_program.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

using Kind = GrammarExpression::Kind;
using Op = GrammarInstruction::Op;

/// Emits from the end to the beginning: what follows an expression is known
/// when the expression is compiled.
class GrammarCompiler {
 public:
  explicit GrammarCompiler(const Grammar& grammar) : grammar_(grammar) {}

  absl::StatusOr<GrammarProgram> Compile() {
    starts_.resize(grammar_.rules.size());
    const int32_t end = Emit(Op::kReturn, 0, 0);
    for (size_t i = 0; i < grammar_.rules.size(); ++i) {
      starts_[i] = Expression(grammar_.rules[i].expression, end);
      if (work_ >= kMaxGrammarInstructions) {
        return absl::InvalidArgumentError(absl::StrCat(
            "The grammar is too large at rule '", grammar_.rules[i].name,
            "': its repeats written out need more than ",
            kMaxGrammarInstructions,
            " steps; use smaller limits, or '*' for none."));
      }
    }
    for (GrammarInstruction& instruction : program_.code) {
      if (instruction.op != Op::kCall) continue;
      instruction.operand = starts_[instruction.operand];
    }
    program_.start = starts_[grammar_.root];
    MLAD_RETURN_IF_ERROR(RefuseLeftRecursion());
    return std::move(program_);
  }

 private:
  int32_t Emit(Op op, int32_t operand, int32_t next) {
    program_.code.push_back({op, operand, next});
    return static_cast<int32_t>(program_.code.size()) - 1;
  }

  int32_t EmitBytes(const ByteSet& bytes, int32_t next) {
    const auto [entry, is_new] = set_numbers_.try_emplace(
        bytes.to_string(), static_cast<int32_t>(program_.byte_sets.size()));
    if (is_new) program_.byte_sets.push_back(bytes);
    return Emit(Op::kBytes, entry->second, next);
  }

  /// Where `expression` starts when `next` follows it.
  int32_t Expression(const GrammarExpression& expression, int32_t next) {
    // Also bounds repeats of nothing, which emit nothing.
    if (++work_ >= kMaxGrammarInstructions) return next;
    switch (expression.kind) {
      case Kind::kText:
        return Text(expression.text, next);
      case Kind::kCharacters:
        return Characters(expression.ranges, next);
      case Kind::kRule:  // the number becomes an address in the end
        return Emit(Op::kCall, expression.rule, next);
      case Kind::kSequence:
        for (auto child = expression.children.rbegin();
             child != expression.children.rend(); ++child) {
          next = Expression(*child, next);
        }
        return next;
      case Kind::kChoice: {
        int32_t start = Expression(expression.children.back(), next);
        for (auto child = expression.children.rbegin() + 1;
             child != expression.children.rend(); ++child) {
          const int32_t branch = Expression(*child, next);
          start = Emit(Op::kSplit, start, branch);
        }
        return start;
      }
      case Kind::kRepeat:
        return Repeat(expression, next);
    }
    return next;
  }

  int32_t Text(const std::string& text, int32_t next) {
    work_ += text.size();
    for (auto byte = text.rbegin(); byte != text.rend(); ++byte) {
      ByteSet bytes;
      bytes.set(static_cast<uint8_t>(*byte));
      next = EmitBytes(bytes, next);
    }
    return next;
  }

  int32_t Characters(const std::vector<CodePointRange>& ranges, int32_t next) {
    ByteSet single;  // one byte each
    std::vector<std::vector<ByteRange>> longer;
    for (const CodePointRange& range : ranges) {
      for (std::vector<ByteRange>& sequence : Utf8Sequences(range)) {
        if (sequence.size() == 1) {
          AddRange(sequence[0], single);
        } else {
          longer.push_back(std::move(sequence));
        }
      }
    }
    int32_t start = -1;
    const auto add_branch = [&](int32_t branch) {
      start = start < 0 ? branch : Emit(Op::kSplit, start, branch);
    };
    for (const std::vector<ByteRange>& sequence : longer) {
      work_ += sequence.size() + 1;
      int32_t branch = next;
      for (auto range = sequence.rbegin(); range != sequence.rend(); ++range) {
        ByteSet bytes;
        AddRange(*range, bytes);
        branch = EmitBytes(bytes, branch);
      }
      add_branch(branch);
    }
    if (single.any()) add_branch(EmitBytes(single, next));
    return start;
  }

  static void AddRange(const ByteRange& range, ByteSet& bytes) {
    for (int byte = range.first; byte <= range.last; ++byte) bytes.set(byte);
  }

  int32_t Repeat(const GrammarExpression& repeat, int32_t next) {
    const GrammarExpression& body = repeat.children[0];
    int32_t start = next;
    if (repeat.most < 0) {
      start = Emit(Op::kSplit, next, 0);
      program_.code[start].next = Expression(body, start);
    }
    for (int32_t i = repeat.least; i < repeat.most && Room(); ++i) {
      start = Emit(Op::kSplit, next, Expression(body, start));
    }
    for (int32_t i = 0; i < repeat.least && Room(); ++i) {
      start = Expression(body, start);
    }
    return start;
  }

  bool Room() const { return work_ < kMaxGrammarInstructions; }

  /// Every address that is reached from `start` without taking a byte or
  /// entering a rule; rules that can be empty are passed.
  template <typename Visit>
  void VisitBeginning(int32_t start,
                      const std::map<int32_t, bool>& can_be_empty,
                      const Visit& visit) {
    std::vector<int32_t> open = {start};
    ++visits_;
    while (!open.empty()) {
      const int32_t address = open.back();
      open.pop_back();
      if (visited_[address] == visits_) continue;
      visited_[address] = visits_;
      const GrammarInstruction& instruction = program_.code[address];
      visit(instruction);
      if (instruction.op == Op::kSplit) {
        open.push_back(instruction.next);
        open.push_back(instruction.operand);
      } else if (instruction.op == Op::kCall &&
                 can_be_empty.at(instruction.operand)) {
        open.push_back(instruction.next);
      }
    }
  }

  absl::Status RefuseLeftRecursion() {
    visited_.assign(program_.code.size(), 0);
    std::map<int32_t, bool> can_be_empty;  // by the rule's start
    for (const int32_t start : starts_) can_be_empty[start] = false;
    for (bool changed = true; changed;) {
      changed = false;
      for (auto& [start, empty] : can_be_empty) {
        if (empty) continue;
        bool returns = false;
        VisitBeginning(start, can_be_empty, [&](const auto& instruction) {
          returns = returns || instruction.op == Op::kReturn;
        });
        changed = changed || returns;
        empty = returns;
      }
    }
    std::map<int32_t, std::vector<int32_t>> begins_with;
    for (const auto& [start, empty] : can_be_empty) {
      std::vector<int32_t>& callees = begins_with[start];
      VisitBeginning(start, can_be_empty, [&](const auto& instruction) {
        if (instruction.op == Op::kCall) callees.push_back(instruction.operand);
      });
    }
    return RefuseCycles(begins_with);
  }

  absl::Status RefuseCycles(
      const std::map<int32_t, std::vector<int32_t>>& begins_with) const {
    enum class Mark : uint8_t { kNew, kOpen, kDone };
    std::map<int32_t, Mark> marks;
    struct Visit {
      int32_t start;
      size_t next_callee;
    };
    for (const auto& [root, unused] : begins_with) {
      if (marks[root] != Mark::kNew) continue;
      std::vector<Visit> path = {{root, 0}};
      marks[root] = Mark::kOpen;
      while (!path.empty()) {
        Visit& visit = path.back();
        const std::vector<int32_t>& callees = begins_with.at(visit.start);
        if (visit.next_callee == callees.size()) {
          marks[visit.start] = Mark::kDone;
          path.pop_back();
          continue;
        }
        const int32_t callee = callees[visit.next_callee++];
        if (marks[callee] == Mark::kOpen) return LeftRecursion(callee);
        if (marks[callee] == Mark::kNew) {
          marks[callee] = Mark::kOpen;
          path.push_back({callee, 0});
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status LeftRecursion(int32_t start) const {
    const auto rule = std::find(starts_.begin(), starts_.end(), start);
    return absl::InvalidArgumentError(absl::StrCat(
        "The rule '", grammar_.rules[rule - starts_.begin()].name,
        "' of the grammar begins with itself; let each round begin with "
        "something else, as in 'list ::= item list | item'."));
  }

  const Grammar& grammar_;
  GrammarProgram program_;
  std::vector<int32_t> starts_;  // of the rules
  std::map<std::string, int32_t> set_numbers_;
  size_t work_ = 0;
  std::vector<int32_t> visited_;  // the number of the last visit, by address
  int32_t visits_ = 0;
};

}  // namespace

absl::StatusOr<GrammarProgram> CompileGrammar(const Grammar& grammar) {
  return GrammarCompiler(grammar).Compile();
}

}  // namespace mlad
