#include "engine/json_grammar.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mlad {

std::string JsonValueRules() {
  return R"(value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws (pair ("," ws pair)*)? "}"
pair ::= string ":" " "? value ws
array ::= "[" ws (value ws ("," ws value ws)*)? "]"
string ::= "\"" char* "\""
char ::= [^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
number ::= integer ("." [0-9]{1,16})? ([eE] [+\-]? [0-9]{1,2})?
integer ::= "-"? ("0" | [1-9] [0-9]{0,15})
ws ::= (" " | "\n" [ \t]{0,32})?
)";
}

std::string JsonObjectGrammar() {
  return "root ::= object\n" + JsonValueRules();
}

std::string QuoteForGrammar(std::string_view text) {
  std::string quoted = "\"";
  for (const char byte : text) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') {
      quoted += '\\';
      quoted += byte;
    } else if (code < 0x20 || code == 0x7F) {
      absl::StrAppend(&quoted, absl::StrFormat("\\x%02X", code));
    } else {
      quoted += byte;
    }
  }
  return quoted + "\"";
}

}  // namespace mlad
