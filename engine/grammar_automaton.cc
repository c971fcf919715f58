#include "engine/grammar_automaton.h"

#include <algorithm>
#include <map>
#include <utility>

namespace mlad {
namespace {

using Op = GrammarInstruction::Op;

// Of one state: more come of ambiguous grammars only, and cost time.
constexpr size_t kMaxReadings = 4096;
constexpr size_t kMaxExpanded = 32768;
// Of one automaton: some 30 MB at most, unless bytes fall in many classes.
constexpr size_t kMaxStates = 32768;
constexpr size_t kMaxStacks = size_t{1} << 19;
constexpr int64_t kMaxStoredReadings = int64_t{1} << 20;

}  // namespace

absl::StatusOr<GrammarAutomaton> GrammarAutomaton::Create(
    GrammarProgram program) {
  GrammarAutomaton automaton(std::move(program));
  automaton.seen_.clear();
  if (automaton.Expand(automaton.program_.start, 0)) {
    automaton.start_ = automaton.Intern();
  }
  if (automaton.start_ == kDead) {
    return absl::InvalidArgumentError(
        "The grammar can be read in too many ways from its very beginning; "
        "join alternatives that begin alike.");
  }
  return automaton;
}

GrammarAutomaton::GrammarAutomaton(GrammarProgram program)
    : program_(std::move(program)) {
  ClassifyBytes();
}

void GrammarAutomaton::ClassifyBytes() {
  std::map<std::vector<bool>, int32_t> numbers;
  for (int byte = 0; byte < 256; ++byte) {
    std::vector<bool> membership;
    for (const ByteSet& set : program_.byte_sets) {
      membership.push_back(set.test(static_cast<size_t>(byte)));
    }
    const auto [entry, is_new] = numbers.try_emplace(
        std::move(membership), static_cast<int32_t>(classes_.size()));
    if (is_new) classes_.push_back(static_cast<uint8_t>(byte));
    class_of_[byte] = entry->second;
  }
}

bool GrammarAutomaton::half_full() const {
  return full_ || states_.size() > kMaxStates / 2 ||
         stacks_.size() > kMaxStacks / 2 || readings_ > kMaxStoredReadings / 2;
}

GrammarAutomaton::State GrammarAutomaton::TakeStep(State state,
                                                   int32_t byte_class) {
  const uint8_t byte = classes_[byte_class];
  bool fits = true;
  seen_.clear();
  for (const Reading reading : *states_[state].readings) {
    ++work_;
    const GrammarInstruction& instruction = program_.code[reading >> 32];
    if (!program_.byte_sets[instruction.operand].test(byte)) continue;
    fits = fits && Expand(instruction.next,
                          static_cast<int32_t>(reading & 0xFFFFFFFFu));
  }
  State next = kDead;
  if (fits) {
    next = Intern();
    if (full_) return kDead;  // not for ever: a fresh automaton has room
  } else {
    next_ = {};
  }
  steps_[static_cast<size_t>(state) * classes_.size() +
         static_cast<size_t>(byte_class)] = next;
  return next;
}

bool GrammarAutomaton::Expand(int32_t address, int32_t stack) {
  open_.push_back(MakeReading(address, stack));
  while (!open_.empty()) {
    const Reading reading = open_.back();
    open_.pop_back();
    if (!seen_.insert(reading).second) continue;
    ++work_;
    if (seen_.size() > kMaxExpanded || next_.readings.size() > kMaxReadings) {
      open_.clear();
      return false;
    }
    const auto here = static_cast<int32_t>(reading & 0xFFFFFFFFu);
    const GrammarInstruction& instruction = program_.code[reading >> 32];
    switch (instruction.op) {
      case Op::kBytes:
        next_.readings.push_back(reading);
        break;
      case Op::kSplit:
        open_.push_back(MakeReading(instruction.next, here));
        open_.push_back(MakeReading(instruction.operand, here));
        break;
      case Op::kCall:
        open_.push_back(MakeReading(instruction.operand,
                                    program_.IsTailCall(instruction)
                                        ? here
                                        : Push(instruction.next, here)));
        break;
      case Op::kReturn:
        if (here == 0) {
          next_.accepts = true;
        } else {
          open_.push_back(
              MakeReading(stacks_[here].address, stacks_[here].below));
        }
        break;
    }
  }
  return true;
}

int32_t GrammarAutomaton::Push(int32_t address, int32_t below) {
  const auto [entry, is_new] = stack_numbers_.try_emplace(
      MakeReading(address, below), static_cast<int32_t>(stacks_.size()));
  if (is_new) stacks_.push_back({address, below});
  return entry->second;
}

GrammarAutomaton::State GrammarAutomaton::Intern() {
  if (next_.readings.empty() && !next_.accepts) return kDead;
  std::sort(next_.readings.begin(), next_.readings.end());
  const auto known = numbers_.find(next_);
  if (known != numbers_.end()) {
    next_ = {};
    return known->second;
  }
  readings_ += static_cast<int64_t>(next_.readings.size());
  full_ = full_ || states_.size() == kMaxStates ||
          stacks_.size() >= kMaxStacks || readings_ > kMaxStoredReadings;
  if (full_) {
    next_ = {};
    return kDead;
  }
  const auto number = static_cast<State>(states_.size());
  const auto [entry, unused] =
      numbers_.emplace(std::exchange(next_, {}), number);
  states_.push_back({&entry->first.readings, entry->first.accepts});
  steps_.resize(steps_.size() + classes_.size(), kUnknown);
  return number;
}

}  // namespace mlad
