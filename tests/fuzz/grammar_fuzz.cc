// Any text as a grammar or a JSON Schema: refused with a status, or compiled;
// then a walk over what it allows stays within bounds, and what a schema's
// grammar allows is JSON.
//
// Input: 's' for a schema, anything else for a grammar (1 byte), the text.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "engine/grammar.h"
#include "engine/output_format.h"

namespace mlad {
namespace {

/// A text of the grammar, its bytes chosen by those of `choices`; false when it
/// did not end soon.
bool WalkToEnd(GrammarAutomaton& automaton, std::string_view choices,
               std::string& text) {
  constexpr size_t kLimit = 200;
  GrammarAutomaton::State state = automaton.start();
  while (text.size() < kLimit && automaton.work() < (int64_t{1} << 20)) {
    if (automaton.Accepts(state)) return true;
    std::vector<uint8_t> allowed;
    for (int byte = 0; byte < 256; ++byte) {
      const auto next = automaton.Next(state, static_cast<uint8_t>(byte));
      if (next != GrammarAutomaton::kDead) {
        allowed.push_back(static_cast<uint8_t>(byte));
      }
    }
    if (allowed.empty()) return false;
    const auto choice =
        static_cast<uint8_t>(choices[text.size() % choices.size()]);
    const uint8_t byte = allowed[choice % allowed.size()];
    text.push_back(static_cast<char>(byte));
    state = automaton.Next(state, byte);
  }
  return false;
}

void Try(OutputFormat::Kind kind, std::string_view text) {
  auto automaton = CompileFormat({kind, std::string(text)});
  if (!automaton.ok()) {
    MLAD_CHECK(absl::IsInvalidArgument(automaton.status()));
    return;
  }
  std::string made;
  const std::string choices = std::string(text) + "}\"]";
  const bool complete = WalkToEnd(*automaton, choices, made);
  if (complete && kind == OutputFormat::Kind::kJsonSchema) {
    MLAD_CHECK(nlohmann::json::accept(made));
  }
}

}  // namespace
}  // namespace mlad

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1,
                              size - 1);
  mlad::Try(data[0] == 's' ? mlad::OutputFormat::Kind::kJsonSchema
                           : mlad::OutputFormat::Kind::kGrammar,
            text);
  return 0;
}
