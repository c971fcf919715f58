// Cuts text into the pieces within which byte pairs may merge.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace mlad {

class PreTokenizer {
 public:
  /// `name`: tokenizer.ggml.pre of a GGUF file: "deepseek-llm",
  /// "deepseek-coder" or "deepseek-v3".
  /// Errors: kUnimplemented for another name.
  static absl::StatusOr<PreTokenizer> Create(std::string_view name);
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;
  ~PreTokenizer();

  /// The pieces of `text`, in order: together they are the text. A run of bytes
  /// that are not UTF-8 is a piece of its own. Any number of threads may call.
  /// Time O(n) in the bytes of the text
  std::vector<std::string_view> Split(std::string_view text) const;

 private:
  class Expression;

  PreTokenizer();
  void SplitValid(std::string_view text,
                  std::vector<std::string_view>& pieces) const;

  /// Applied one after the other: each cuts what the earlier ones left, both
  /// what it matches and what lies between becoming pieces.
  std::vector<std::unique_ptr<Expression>> expressions_;
};

}  // namespace mlad
