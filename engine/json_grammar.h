// Grammars of JSON texts.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mlad {

/// GBNF of any JSON object. Between its parts there is at most a space, or a
/// line break and some indentation: a model cannot lose itself in blanks.
std::string JsonObjectGrammar();

/// Rules that the grammars of schemas share: value, object, array, string,
/// char, number, integer, ws.
std::string JsonValueRules();

/// GBNF of JSON texts that a JSON Schema (2020-12; "definitions" too) allows.
/// Not every valid text: properties come in the schema's order; those that it
/// does not name only come, after the named ones, when additionalProperties
/// says so; numbers have at most 16 digits in a row.
///
/// Knows  type, enum, const, properties, required, additionalProperties,
///        items, prefixItems, minItems, maxItems, minLength, maxLength,
///        minimum, maximum (whole numbers; of integers exclusiveMinimum and
///        exclusiveMaximum too), anyOf, oneOf (read as anyOf), allOf of one,
///        $ref within the schema, true; annotations (title, format, ...)
///        change nothing
/// Errors kInvalidArgument naming the place and what is malformed there, or
///        would constrain the text in a way that is not supported
absl::StatusOr<std::string> JsonSchemaGrammar(std::string_view schema);

/// `text` as a text of a GBNF grammar, in quotation marks.
std::string QuoteForGrammar(std::string_view text);

}  // namespace mlad
