#include "engine/json_grammar.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/engine/grammar_text.h"

#include "engine/json_number_range.h"

namespace mlad {
namespace {

using testing::HasSubstr;

GrammarAutomaton Schema(std::string_view schema) {
  return MustCompile(OutputFormat::Kind::kJsonSchema, schema);
}

std::string Refusal(std::string_view schema) {
  const auto compiled =
      CompileFormat({OutputFormat::Kind::kJsonSchema, std::string(schema)});
  EXPECT_EQ(compiled.status().code(), absl::StatusCode::kInvalidArgument)
      << schema;
  return std::string(compiled.status().message());
}

TEST(JsonGrammar, JsonModeTakesObjectsOnly) {
  GrammarAutomaton json = MustCompile(OutputFormat::Kind::kJsonObject, "");
  for (const char* text :
       {"{}", R"({"a": 1})", R"({"a":[1,-2.5e-7,"x\n\u00e9",{"b":null}]})",
        "{\n  \"a\": true,\n  \"b\": [\n    1\n  ]\n}", R"({"é€😀": false})"}) {
    EXPECT_TRUE(Matches(json, text)) << text;
  }
  for (const char* text :
       {"", "[]", "{", "{}x", "{a:1}", R"({"a":01})", R"({"a":1,})",
        R"({"a" 1})", "{\"a\":\"\n\"}", R"({"a":"\x"})", R"({"a":.5})",
        R"({"a":1.})", "{   }"}) {
    EXPECT_FALSE(Matches(json, text)) << text;
  }
}

TEST(JsonGrammar, WhatJsonModeAllowsIsJson) {
  GrammarAutomaton json = MustCompile(OutputFormat::Kind::kJsonObject, "");
  int made = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const std::string text = RandomText(json, seed);
    if (text.empty()) continue;
    ++made;
    EXPECT_TRUE(nlohmann::json::accept(text)) << text;
  }
  EXPECT_GT(made, 100);
}

TEST(JsonSchema, PropertiesComeInOrderAndOptionalOnesMayLack) {
  GrammarAutomaton schema = Schema(R"({
    "type": "object", "title": "a person",
    "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 3},
                   "age": {"type": "integer"}, "tall": {"type": "boolean"}},
    "required": ["name"]})");
  for (const char* text :
       {R"({"name":"x"})", R"({"name":"xyz","age":7})",
        R"({"name": "\n", "tall": true})",
        R"({"name":"é","age":-1,"tall":false})", "{\n\t\"name\": \"x\"\n}"}) {
    EXPECT_TRUE(Matches(schema, text)) << text;
  }
  for (const char* text :
       {"{}", R"({"age":7})", R"({"age":7,"name":"x"})", R"({"name":""})",
        R"({"name":"abcd"})", R"({"name":"x","more":1})", R"({"name":"x",})",
        R"({"name":"x","age":1.5})"}) {
    EXPECT_FALSE(Matches(schema, text)) << text;
  }
}

TEST(JsonSchema, AdditionalPropertiesAreOtherOnes) {
  GrammarAutomaton schema = Schema(R"({
    "properties": {"ab": {"type": "null"}, "abc": {"type": "null"}},
    "additionalProperties": {"type": "boolean"}})");
  for (const char* text :
       {"{}", R"({"ab":null})", R"({"a":true})", R"({"abd":true,"abcd":false})",
        R"({"ab":null,"":true})", R"({"abc":null,"é":true})"}) {
    EXPECT_TRUE(Matches(schema, text)) << text;
  }
  for (const char* text : {R"({"ab":true})", R"({"a":true,"abc":false})",
                           R"({"\u0061b":true})", R"({"x":1})"}) {
    EXPECT_FALSE(Matches(schema, text)) << text;
  }
}

TEST(JsonSchema, RequiredNamesWithoutASchemaMayBeAnything) {
  GrammarAutomaton schema = Schema(R"({"type":"object","required":["k"]})");
  EXPECT_TRUE(Matches(schema, R"({"k":[1]})"));
  EXPECT_TRUE(Matches(schema, R"({"k":1,"z":2})"));
  EXPECT_FALSE(Matches(schema, R"({"z":2})"));
}

TEST(JsonSchema, ArraysCountTheirItems) {
  GrammarAutomaton two_or_three = Schema(
      R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3})");
  EXPECT_FALSE(Matches(two_or_three, "[1]"));
  EXPECT_TRUE(Matches(two_or_three, "[1,2]"));
  EXPECT_TRUE(Matches(two_or_three, "[1, 2, 3]"));
  EXPECT_FALSE(Matches(two_or_three, "[1,2,3,4]"));

  GrammarAutomaton tuple = Schema(
      R"({"prefixItems":[{"const":"x"},{"type":"null"}],"items":{"type":"boolean"},
          "minItems":1,"maxItems":4})");
  for (const char* text :
       {R"(["x"])", R"(["x",null])", R"(["x",null,true,false])"}) {
    EXPECT_TRUE(Matches(tuple, text)) << text;
  }
  for (const char* text :
       {"[]", "[null]", R"(["x",true])", R"(["x",null,true,true,true])"}) {
    EXPECT_FALSE(Matches(tuple, text)) << text;
  }
  GrammarAutomaton closed =
      Schema(R"({"prefixItems":[{"const":1}],"items":false})");
  EXPECT_TRUE(Matches(closed, "[]"));
  EXPECT_TRUE(Matches(closed, "[1]"));
  EXPECT_FALSE(Matches(closed, "[1,1]"));
}

TEST(JsonSchema, ConstantsUnionsAndReferences) {
  GrammarAutomaton schema = Schema(R"({
    "$defs": {"tree": {"type": "object", "required": ["v"], "properties": {
        "v": {"enum": ["\"q\"", 2, null, {"a": [1]}]},
        "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}}},
    "$ref": "#/$defs/tree"})");
  for (const char* text :
       {R"({"v":2})", R"({"v":"\"q\"","next":{"v":null,"next":null}})",
        R"({"v":{"a":[1]}})"}) {
    EXPECT_TRUE(Matches(schema, text)) << text;
  }
  EXPECT_FALSE(Matches(schema, R"({"v":3})"));
  EXPECT_FALSE(Matches(schema, R"({"v":2,"next":2})"));
  GrammarAutomaton types = Schema(R"({"type":["string","null"]})");
  EXPECT_TRUE(Matches(types, "null"));
  EXPECT_TRUE(Matches(types, "\"\""));
  EXPECT_FALSE(Matches(types, "1"));
}

// Every integer from -150 to 1200 against every pair of some bounds.
TEST(JsonSchema, IntegerBoundsAreExact) {
  const int64_t kBounds[] = {-123, -10, -9, -1,  0,   1,
                             9,    10,  99, 100, 478, 1000};
  for (const int64_t least : kBounds) {
    for (const int64_t most : kBounds) {
      if (least > most) continue;
      GrammarAutomaton automaton =
          MustCompile(OutputFormat::Kind::kGrammar,
                      "root ::= " + IntegerRangeGrammar({least, most}));
      for (int64_t n = -150; n <= 1200; ++n) {
        ASSERT_EQ(Matches(automaton, std::to_string(n)),
                  n >= least && n <= most)
            << n << " in " << least << ".." << most;
      }
      EXPECT_FALSE(Matches(automaton, "-0"));
      EXPECT_FALSE(Matches(automaton, "007"));
    }
  }
}

TEST(JsonSchema, NumberBoundsHoldForFractionsToo) {
  const int64_t kBounds[] = {-12, -1, 0, 1, 12};
  for (const int64_t least : kBounds) {
    for (const int64_t most : kBounds) {
      if (least > most) continue;
      GrammarAutomaton automaton =
          MustCompile(OutputFormat::Kind::kGrammar,
                      "root ::= " + NumberRangeGrammar({least, most}));
      for (int quarter = -60; quarter <= 60; ++quarter) {
        const double number = quarter / 4.0;
        const std::string text = nlohmann::json(number).dump();
        if (text == "-0.0") continue;
        ASSERT_EQ(Matches(automaton, text), number >= least && number <= most)
            << text << " in " << least << ".." << most;
      }
    }
  }
  GrammarAutomaton open = Schema(R"({"type":"number","minimum":0})");
  EXPECT_TRUE(Matches(open, "0.25"));
  EXPECT_TRUE(Matches(open, "123456789"));
  EXPECT_FALSE(Matches(open, "-0.25"));
  GrammarAutomaton integer = Schema(
      R"({"type":"integer","exclusiveMinimum":0.5,"exclusiveMaximum":3})");
  EXPECT_FALSE(Matches(integer, "0"));
  EXPECT_TRUE(Matches(integer, "1"));
  EXPECT_TRUE(Matches(integer, "2"));
  EXPECT_FALSE(Matches(integer, "3"));
}

TEST(JsonSchema, WhatIsNotUnderstoodIsRefusedByName) {
  EXPECT_THAT(Refusal("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(Refusal("7"), HasSubstr("at #: a schema is an object"));
  EXPECT_THAT(Refusal(R"({"type":"text"})"), HasSubstr("no type 'text'"));
  EXPECT_THAT(Refusal(R"({"properties":{"a":{"pattern":"x"}}})"),
              HasSubstr("at #/properties/a: 'pattern' is not supported"));
  EXPECT_THAT(Refusal(R"({"not":{}})"), HasSubstr("'not' is not supported"));
  EXPECT_THAT(Refusal(R"({"$ref":"#/$defs/x"})"), HasSubstr("nothing at"));
  EXPECT_THAT(Refusal(R"({"$ref":"http://x"})"),
              HasSubstr("within the schema"));
  EXPECT_THAT(Refusal(R"({"allOf":[{},{}]})"), HasSubstr("allOf"));
  EXPECT_THAT(Refusal(R"({"type":"array","minItems":3,"maxItems":2})"),
              HasSubstr("less than"));
  EXPECT_THAT(Refusal(R"({"type":"integer","minimum":3,"maximum":2})"),
              HasSubstr("between the bounds"));
  EXPECT_THAT(Refusal(R"({"type":"number","minimum":0.5})"),
              HasSubstr("whole number"));
  EXPECT_THAT(Refusal(R"({"properties":{"a":false},"required":["a"]})"),
              HasSubstr("allows no text"));
  EXPECT_THAT(Refusal(R"({"$ref":"#"})"), HasSubstr("begins with itself"));
  EXPECT_THAT(Refusal(std::string(9000, '[')), HasSubstr("nested more than"));
}

}  // namespace
}  // namespace mlad
