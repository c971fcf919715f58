#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "engine/json_grammar.h"
#include "engine/json_rules.h"
#include "engine/json_schema_reading.h"

namespace mlad {
namespace {

/// What stands between the brackets.
std::string Items(const std::vector<std::string>& first,
                  const std::string& item, const JsonCounts& counts,
                  JsonRules& rules) {
  if (counts.most == 0) return "";
  const auto fixed = static_cast<int64_t>(first.size());
  std::string rest;
  if (fixed == 0) {
    const std::string all =
        absl::StrCat(item, " ws (\",\" ws ", item, " ws)", counts.Repeat(1));
    return counts.least > 0 ? all : absl::StrCat("(", all, ")?");
  }
  if (counts.most != fixed) {
    rest = absl::StrCat("(\",\" ws ", item, " ws)", counts.Repeat(fixed));
  }
  for (int64_t i = fixed - 1; i >= 0; --i) {
    const std::string name = rules.NewName();
    rules.Add(name, absl::StrCat(i > 0 ? "\",\" ws " : "", first[i], " ws ",
                                 rest, i >= counts.least ? " |" : ""));
    rest = name;
  }
  return rest;
}

}  // namespace

absl::StatusOr<std::string> JsonListGrammar(const Json& schema,
                                            const std::string& path,
                                            JsonRules& rules) {
  MLAD_ASSIGN_OR_RETURN(JsonCounts counts,
                        ReadJsonCounts(schema, path, "minItems", "maxItems"));
  std::vector<std::string> first;
  if (HasKeyword(schema, "prefixItems")) {
    const Json& list = schema["prefixItems"];
    if (!list.is_array()) {
      return JsonSchemaError(path, "'prefixItems' is a list");
    }
    for (size_t i = 0; i < list.size(); ++i) {
      first.push_back(
          rules.Later(list[i], absl::StrCat(path, "/prefixItems/", i)));
    }
  }
  const bool ends = HasKeyword(schema, "items") &&
                    schema["items"].is_boolean() &&
                    !schema["items"].get<bool>();
  std::string item = "value";
  if (HasKeyword(schema, "items") && !ends) {
    item = rules.Later(schema["items"], path + "/items");
  }
  const auto fixed = static_cast<int64_t>(first.size());
  // Without "items", texts with more than the first ones are left out.
  if (ends ||
      (fixed > 0 && !HasKeyword(schema, "items") && counts.least <= fixed)) {
    if (counts.least > fixed) {
      return JsonSchemaError(path, "'minItems' is too large");
    }
    counts.most = counts.most < 0 ? fixed : std::min(counts.most, fixed);
  }
  if (counts.most >= 0 && counts.most < fixed) first.resize(counts.most);
  return absl::StrCat("\"[\" ws ", Items(first, item, counts, rules), " \"]\"");
}

}  // namespace mlad
