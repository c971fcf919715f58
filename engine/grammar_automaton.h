// Which bytes a grammar allows next: a pushdown automaton whose states are made
// when they are first reached.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/statusor.h"

#include "engine/grammar_program.h"

namespace mlad {

/// A state is the set of all (instruction, stack of returns) at which a
/// matching of the text so far may stand. States and stacks are numbered, and
/// the step from a state by a byte is remembered, so a step that was taken
/// before is one look into a table. Used by one thread at a time.
class GrammarAutomaton {
 public:
  using State = int32_t;
  static constexpr State kDead = -1;  // no text goes on from here

  /// Errors: kInvalidArgument when the grammar is so ambiguous that even its
  /// beginning has too many readings.
  static absl::StatusOr<GrammarAutomaton> Create(GrammarProgram program);

  State start() const { return start_; }
  /// kDead when the grammar does not allow the byte, when the text would have
  /// too many readings, or when full(). `state` is not kDead.
  State Next(State state, uint8_t byte) {
    const int32_t byte_class = class_of_[byte];
    const State known = steps_[static_cast<size_t>(state) * classes_.size() +
                               static_cast<size_t>(byte_class)];
    return known != kUnknown ? known : TakeStep(state, byte_class);
  }
  /// True when the text may end here.
  bool Accepts(State state) const { return states_[state].accepts; }

  /// Readings looked at so far, a measure of the work done.
  int64_t work() const { return work_; }
  /// There is no room for more states: those known still work.
  bool full() const { return full_; }
  /// Time to begin with a new automaton.
  bool half_full() const;

 private:
  static constexpr State kUnknown = -2;

  /// A reading of the text: an instruction that takes a byte and the stack
  /// below it, in one number.
  using Reading = uint64_t;
  static Reading MakeReading(int32_t address, int32_t stack) {
    return static_cast<Reading>(address) << 32 | static_cast<uint32_t>(stack);
  }

  struct Stack {
    int32_t address = 0;  // where to return to
    int32_t below = 0;
  };
  struct StateFacts {
    const std::vector<Reading>* readings = nullptr;  // ascending
    bool accepts = false;
  };
  struct Key {
    std::vector<Reading> readings;
    bool accepts = false;
    bool operator==(const Key&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.readings, key.accepts);
    }
  };

  explicit GrammarAutomaton(GrammarProgram program);
  /// Bytes that every set of the program has or lacks together are one class.
  void ClassifyBytes();
  State TakeStep(State state, int32_t byte_class);
  /// Adds what is reached from there without taking a byte to next_. False when
  /// that is too much.
  bool Expand(int32_t address, int32_t stack);
  int32_t Push(int32_t address, int32_t below);
  /// The state of next_, whose number it looks up or gives.
  State Intern();

  GrammarProgram program_;
  std::array<int32_t, 256> class_of_{};
  std::vector<uint8_t> classes_;  // a byte of each
  State start_ = kDead;

  absl::node_hash_map<Key, State> numbers_;
  std::vector<StateFacts> states_;
  std::vector<State> steps_;          // [states, classes]
  std::vector<Stack> stacks_ = {{}};  // 0: the empty one
  absl::flat_hash_map<uint64_t, int32_t> stack_numbers_;
  int64_t readings_ = 0;  // of all states
  int64_t work_ = 0;
  bool full_ = false;

  Key next_;  // being built
  std::vector<Reading> open_;
  absl::flat_hash_set<Reading> seen_;
};

}  // namespace mlad
