// What `mlad doctor` has to say about one thing.
#pragma once

#include <cstdint>
#include <string>

namespace mlad {

enum class Verdict : uint8_t {
  kGood,
  kAdvice,  // serving works, better after the remedy
  kFailed,  // serving will not work
};

struct Finding {
  std::string topic;  // "numa_balancing": stable, for scripts
  Verdict verdict = Verdict::kGood;
  std::string found;   // a sentence without a full stop
  std::string why;     // why it matters
  std::string remedy;  // a command, or what to change; empty: nothing to do
};

}  // namespace mlad
