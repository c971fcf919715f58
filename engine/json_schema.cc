#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include "base/status.h"
#include "engine/json_grammar.h"
#include "engine/json_number_range.h"
#include "engine/json_rules.h"
#include "engine/json_schema_reading.h"

namespace mlad {
namespace {

constexpr int kMaxNesting = 64;
constexpr size_t kMaxOutputBytes = size_t{1} << 22;

/// The words of the schema, one rule of the grammar for each of its parts: what
/// the parts nest, the grammar does not.
class SchemaWriter {
 public:
  explicit SchemaWriter(const Json& schema) : schema_(schema) {}

  absl::StatusOr<std::string> Write() {
    MLAD_ASSIGN_OR_RETURN(const std::string root, Reference("#", "#"));
    while (const auto part = rules_.TakePart()) {
      MLAD_ASSIGN_OR_RETURN(const std::string content,
                            Value(*part->schema, part->path));
      rules_.Add(part->rule, content);
      if (rules_.text().size() > kMaxOutputBytes) {
        return absl::InvalidArgumentError(
            "The JSON schema is too large; use a smaller one.");
      }
    }
    return absl::StrCat("root ::= ", root, "\n", rules_.text(),
                        JsonValueRules());
  }

 private:
  absl::StatusOr<std::string> Reference(const std::string& pointer,
                                        const std::string& path) {
    const auto known = references_.find(pointer);
    if (known != references_.end()) return known->second;
    const Json* target = &schema_;
    const std::vector<std::string> keys = absl::StrSplit(pointer, '/');
    if (keys[0] != "#") {
      return JsonSchemaError(path,
                             "only references within the schema ('#/...') are "
                             "supported");
    }
    for (size_t i = 1; i < keys.size(); ++i) {
      const std::string key =
          absl::StrReplaceAll(keys[i], {{"~1", "/"}, {"~0", "~"}});
      size_t index = 0;
      if (target->is_object() && target->contains(key)) {
        target = &*target->find(key);
      } else if (target->is_array() && absl::SimpleAtoi(key, &index) &&
                 index < target->size()) {
        target = &(*target)[index];
      } else {
        return JsonSchemaError(
            path, absl::StrCat("there is nothing at '", pointer, "'"));
      }
    }
    return references_[pointer] = rules_.Later(*target, pointer);
  }

  absl::StatusOr<std::string> Value(const Json& schema,
                                    const std::string& path) {
    if (schema.is_boolean()) {
      if (schema.get<bool>()) return std::string("value");
      return JsonSchemaError(path, "'false' allows no text");
    }
    if (!schema.is_object()) {
      return JsonSchemaError(path, "a schema is an object, true or false");
    }
    if (HasKeyword(schema, "$ref")) {
      MLAD_RETURN_IF_ERROR(RefuseOtherKeywords(schema, path, {"$ref"}));
      if (!schema["$ref"].is_string()) {
        return JsonSchemaError(path, "'$ref' is a text");
      }
      return Reference(schema["$ref"].get<std::string>(), path);
    }
    for (const char* keyword : {"anyOf", "oneOf", "allOf"}) {
      if (HasKeyword(schema, keyword)) {
        return Combination(schema, path, keyword);
      }
    }
    if (HasKeyword(schema, "const") || HasKeyword(schema, "enum")) {
      return Constants(schema, path);
    }
    return Types(schema, path);
  }

  absl::StatusOr<std::string> Combination(const Json& schema,
                                          const std::string& path,
                                          const char* keyword) {
    MLAD_RETURN_IF_ERROR(RefuseOtherKeywords(schema, path, {keyword}));
    const Json& parts = schema[keyword];
    if (!parts.is_array() || parts.empty()) {
      return JsonSchemaError(
          path, absl::StrCat("'", keyword, "' is a list of schemas"));
    }
    if (keyword == std::string_view("allOf") && parts.size() > 1) {
      return JsonSchemaError(
          path, "'allOf' of more than one schema is not supported");
    }
    std::vector<std::string> names;
    for (size_t i = 0; i < parts.size(); ++i) {
      names.push_back(
          rules_.Later(parts[i], absl::StrCat(path, "/", keyword, "/", i)));
    }
    return absl::StrJoin(names, " | ");
  }

  absl::StatusOr<std::string> Constants(const Json& schema,
                                        const std::string& path) {
    MLAD_RETURN_IF_ERROR(
        RefuseOtherKeywords(schema, path, {"const", "enum", "type"}));
    std::vector<std::string> values;
    if (HasKeyword(schema, "const")) {
      values.push_back(QuoteForGrammar(schema["const"].dump()));
    } else {
      const Json& list = schema["enum"];
      if (!list.is_array() || list.empty()) {
        return JsonSchemaError(path, "'enum' is a list of values");
      }
      for (const Json& value : list) {
        values.push_back(QuoteForGrammar(value.dump()));
      }
    }
    return absl::StrJoin(values, " | ");
  }

  absl::StatusOr<std::string> Types(const Json& schema,
                                    const std::string& path) {
    MLAD_RETURN_IF_ERROR(RefuseOtherKeywords(schema, path, kJsonTypeKeywords));
    std::vector<std::string> types;
    if (!HasKeyword(schema, "type")) {
      types = ImpliedTypes(schema);
    } else if (schema["type"].is_string()) {
      types.push_back(schema["type"].get<std::string>());
    } else if (schema["type"].is_array() && !schema["type"].empty()) {
      for (const Json& type : schema["type"]) {
        types.push_back(type.is_string() ? type.get<std::string>() : "");
      }
    } else {
      return JsonSchemaError(path,
                             "'type' is the name of a type or a list of them");
    }
    std::vector<std::string> alternatives;
    for (const std::string& type : types) {
      MLAD_ASSIGN_OR_RETURN(std::string alternative, Type(type, schema, path));
      alternatives.push_back(std::move(alternative));
    }
    return absl::StrJoin(alternatives, " | ");
  }

  static std::vector<std::string> ImpliedTypes(const Json& schema) {
    for (const auto& [keyword, unused] : schema.items()) {
      if (keyword == "properties" || keyword == "required" ||
          keyword == "additionalProperties") {
        return {"object"};
      }
      if (absl::EndsWith(keyword, "tems")) return {"array"};
      if (absl::EndsWith(keyword, "Length")) return {"string"};
      if (absl::EndsWith(keyword, "imum")) return {"number"};
    }
    return {"value"};
  }

  absl::StatusOr<std::string> Type(const std::string& type, const Json& schema,
                                   const std::string& path) {
    if (type == "object") return JsonMapGrammar(schema, path, rules_);
    if (type == "array") return JsonListGrammar(schema, path, rules_);
    if (type == "string") return String(schema, path);
    if (type == "integer" || type == "number") {
      return Number(type, schema, path);
    }
    if (type == "boolean") return std::string("\"true\" | \"false\"");
    if (type == "null") return std::string("\"null\"");
    if (type == "value") return type;  // no type was said
    return JsonSchemaError(path, absl::StrCat("there is no type '", type, "'"));
  }

  absl::StatusOr<std::string> String(const Json& schema,
                                     const std::string& path) {
    MLAD_ASSIGN_OR_RETURN(
        const JsonCounts counts,
        ReadJsonCounts(schema, path, "minLength", "maxLength"));
    if (counts.least == 0 && counts.most < 0) return std::string("string");
    return absl::StrCat("\"\\\"\" char", counts.Repeat(0), " \"\\\"\"");
  }

  static absl::StatusOr<std::string> Number(const std::string& type,
                                            const Json& schema,
                                            const std::string& path) {
    const bool is_integer = type == "integer";
    MLAD_ASSIGN_OR_RETURN(const JsonBounds bounds,
                          ReadJsonBounds(schema, path, is_integer));
    if (!bounds.least.has_value() && !bounds.most.has_value()) return type;
    return is_integer ? IntegerRangeGrammar(bounds)
                      : NumberRangeGrammar(bounds);
  }

  const Json& schema_;
  JsonRules rules_;
  std::map<std::string, std::string> references_;  // rule by pointer
};

}  // namespace

absl::StatusOr<std::string> JsonSchemaGrammar(std::string_view schema) {
  int deepest = 0;
  const Json parsed = Json::parse(
      schema,
      [&](int depth, Json::parse_event_t /*event*/, Json& /*value*/) {
        deepest = std::max(deepest, depth);
        return depth <= kMaxNesting;
      },
      /*allow_exceptions=*/false);
  if (deepest > kMaxNesting) {
    return absl::InvalidArgumentError(absl::StrCat(
        "The JSON schema is nested more than ", kMaxNesting, " deep."));
  }
  if (parsed.is_discarded()) {
    return absl::InvalidArgumentError("The JSON schema is not valid JSON.");
  }
  return SchemaWriter(parsed).Write();
}

}  // namespace mlad
