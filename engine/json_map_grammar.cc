#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "engine/json_grammar.h"
#include "engine/json_key_exclusion.h"
#include "engine/json_rules.h"
#include "engine/json_schema_reading.h"

namespace mlad {
namespace {

absl::StatusOr<std::map<std::string, bool>> Required(const Json& schema,
                                                     const std::string& path) {
  std::map<std::string, bool> names;
  if (!HasKeyword(schema, "required")) return names;
  const Json& list = schema["required"];
  if (!list.is_array()) {
    return JsonSchemaError(path, "'required' is a list of names");
  }
  for (const Json& name : list) {
    if (!name.is_string()) {
      return JsonSchemaError(path, "'required' is a list of names");
    }
    names[name.get<std::string>()] = true;
  }
  return names;
}

/// The rule of one property that the schema does not name; empty when there
/// may be none.
absl::StatusOr<std::string> Additional(const Json& schema,
                                       const std::string& path,
                                       const std::vector<std::string>& names,
                                       JsonRules& rules) {
  const bool is_said = HasKeyword(schema, "additionalProperties");
  if (!is_said && HasKeyword(schema, "properties")) return std::string();
  std::string value = "value";
  if (is_said) {
    const Json& more = schema["additionalProperties"];
    if (more.is_boolean() && !more.get<bool>()) return std::string();
    value = rules.Later(more, path + "/additionalProperties");
  }
  const std::string key = rules.NewName();
  rules.AddText(KeyExclusionRules(key, names));
  std::string rule = rules.NewName();
  rules.Add(rule, absl::StrCat(key, " \":\" \" \"? ", value, " ws"));
  return rule;
}

}  // namespace

absl::StatusOr<std::string> JsonMapGrammar(const Json& schema,
                                           const std::string& path,
                                           JsonRules& rules) {
  if (!HasKeyword(schema, "properties") && !HasKeyword(schema, "required") &&
      !HasKeyword(schema, "additionalProperties")) {
    return std::string("object");
  }
  struct Property {
    std::string rule;
    bool required = false;
  };
  std::vector<Property> properties;
  std::vector<std::string> names;
  const auto add = [&](const std::string& name, const std::string& value,
                       bool required) {
    const std::string rule = rules.NewName();
    rules.Add(rule, absl::StrCat(QuoteForGrammar(Json(name).dump()),
                                 " \":\" \" \"? ", value, " ws"));
    properties.push_back({rule, required});
    names.push_back(name);
  };
  MLAD_ASSIGN_OR_RETURN(auto required, Required(schema, path));
  if (HasKeyword(schema, "properties")) {
    if (!schema["properties"].is_object()) {
      return JsonSchemaError(path, "'properties' is an object");
    }
    for (const auto& [name, value] : schema["properties"].items()) {
      add(name, rules.Later(value, absl::StrCat(path, "/properties/", name)),
          required.erase(name) > 0);
    }
  }
  // Required, but of any kind.
  for (const auto& [name, unused] : required) add(name, "value", true);

  MLAD_ASSIGN_OR_RETURN(const std::string more,
                        Additional(schema, path, names, rules));
  std::string after =
      more.empty() ? "" : absl::StrCat("(\",\" ws ", more, ")*");
  std::string begin =
      more.empty() ? "" : absl::StrCat("(", more, " ", after, ")?");
  for (auto property = properties.rbegin(); property != properties.rend();
       ++property) {
    const std::string begin_rule = rules.NewName();
    const std::string after_rule = rules.NewName();
    const std::string or_skip_begin =
        property->required ? "" : absl::StrCat(" | ", begin);
    const std::string or_skip_after =
        property->required ? "" : absl::StrCat(" | ", after);
    rules.Add(begin_rule,
              absl::StrCat(property->rule, " ", after, or_skip_begin));
    rules.Add(after_rule, absl::StrCat("\",\" ws ", property->rule, " ", after,
                                       or_skip_after));
    begin = begin_rule;
    after = after_rule;
  }
  return absl::StrCat("\"{\" ws ", begin, " \"}\"");
}

}  // namespace mlad
