// Reading prompts.
#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "base/status.h"
#include "ctl/options.h"

namespace mlad {

/// The file's content. Errors: kInvalidArgument when it cannot be read.
absl::StatusOr<std::string> ReadInputFile(const std::string& path);

/// The words, the file's content or, without either, standard input; nothing
/// when there are token ids instead.
/// Errors: kInvalidArgument when the file cannot be read, more than one of them
/// is given, or none and standard input is a terminal.
absl::StatusOr<std::string> ReadInputText(const InputOptions& options);

/// Puts the text or the token ids into a v1::GenerateRequest or ScoreRequest.
/// Errors: those of ReadInputText.
template <typename Request>
absl::Status FillInput(const InputOptions& options, Request& request) {
  MLAD_ASSIGN_OR_RETURN(const std::string text, ReadInputText(options));
  if (!options.tokens.empty()) {
    request.mutable_tokens()->mutable_ids()->Add(options.tokens.begin(),
                                                 options.tokens.end());
    return absl::OkStatus();
  }
  request.set_text(text);
  request.set_add_bos(!options.no_bos);
  request.set_parse_special(!options.no_special);
  return absl::OkStatus();
}

}  // namespace mlad
