#include "engine/output_format.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "engine/grammar.h"
#include "engine/grammar_program.h"
#include "engine/json_grammar.h"

namespace mlad {
namespace {

absl::StatusOr<std::string> GrammarText(const OutputFormat& format) {
  switch (format.kind) {
    case OutputFormat::Kind::kJsonSchema:
      return JsonSchemaGrammar(format.text);
    case OutputFormat::Kind::kGrammar:
      return format.text;
    case OutputFormat::Kind::kJsonObject:
    case OutputFormat::Kind::kFree:
      break;
  }
  return JsonObjectGrammar();
}

}  // namespace

absl::StatusOr<GrammarAutomaton> CompileFormat(const OutputFormat& format) {
  if (format.text.size() > kMaxGrammarBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("The grammar or schema has ", format.text.size(),
                     " bytes; give at most ", kMaxGrammarBytes, "."));
  }
  MLAD_ASSIGN_OR_RETURN(const std::string text, GrammarText(format));
  MLAD_ASSIGN_OR_RETURN(const Grammar grammar, ParseGrammar(text));
  MLAD_ASSIGN_OR_RETURN(GrammarProgram program, CompileGrammar(grammar));
  return GrammarAutomaton::Create(std::move(program));
}

}  // namespace mlad
