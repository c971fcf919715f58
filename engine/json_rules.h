// The rules of a JSON Schema's grammar while it is written.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "engine/json_schema_reading.h"

namespace mlad {

/// Every part of the schema becomes a rule of its own: what the parts nest, the
/// grammar does not.
class JsonRules {
 public:
  struct Part {
    std::string rule;
    const Json* schema;
    std::string path;  // in the schema, for errors
  };

  std::string NewName() { return absl::StrCat("r", ++names_); }
  void Add(const std::string& name, const std::string& content) {
    absl::StrAppend(&text_, name, " ::= ", content, "\n");
  }
  void AddText(const std::string& rules) { text_ += rules; }
  /// The name of the rule of a part that is written later.
  std::string Later(const Json& schema, const std::string& path) {
    parts_.push_back({NewName(), &schema, path});
    return parts_.back().rule;
  }
  /// One of these parts; nothing when all have been taken.
  std::optional<Part> TakePart() {
    if (parts_.empty()) return std::nullopt;
    Part part = std::move(parts_.front());
    parts_.pop_front();
    return part;
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::deque<Part> parts_;
  int names_ = 0;
};

/// The content of the rule of an array or of an object. `path`: of `schema`.
absl::StatusOr<std::string> JsonListGrammar(const Json& schema,
                                            const std::string& path,
                                            JsonRules& rules);
absl::StatusOr<std::string> JsonMapGrammar(const Json& schema,
                                           const std::string& path,
                                           JsonRules& rules);

}  // namespace mlad
