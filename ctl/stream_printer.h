// Shows a stream of tokens as it comes, or collects it for JSON.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "mlad/v1/inference.pb.h"

#include "ctl/terminal.h"

namespace mlad {

class StreamPrinter {
 public:
  /// With `json` nothing is printed before Finish().
  explicit StreamPrinter(bool json) : json_(json) {}

  /// Prints text at once, to stdout; progress of a long prompt to stderr.
  void Show(const v1::GenerateResponse& message);
  /// Ends the output: a newline after text, or the JSON object; then, on a
  /// terminal, a line of timings on stderr.
  void Finish();

  const std::string& text() const { return text_; }

 private:
  void ShowToken(const v1::Token& token);
  void PrintText(const std::string& text) const;
  void PrintJson() const;

  const bool json_;
  const bool text_to_terminal_ = IsTerminal(1);
  ProgressLine progress_;
  std::string text_;
  nlohmann::json ids_ = nlohmann::json::array();
  nlohmann::json logprobs_ = nlohmann::json::array();
  v1::Finish finish_;
};

/// "eos", "stop_string", "max_tokens", ...
std::string FinishReasonName(v1::FinishReason reason);

}  // namespace mlad
