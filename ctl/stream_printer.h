// Shows a stream of tokens as it comes, or collects it for JSON.
#pragma once

#include <optional>
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

  const std::string& text() const { return text_; }  // the answer

 private:
  void ShowToken(const v1::Token& token);
  void ShowPrompt(const v1::Prompt& prompt);
  /// Text of the answer, and the thought before it: that one only where a
  /// person can tell them apart.
  void ShowText(const std::string& reasoning, const std::string& text);
  void PrintText(const std::string& text) const;
  void PrintJson() const;

  const bool json_;
  const bool text_to_terminal_ = IsTerminal(1);
  ProgressLine progress_;
  std::string text_;
  std::string reasoning_;
  nlohmann::json ids_ = nlohmann::json::array();
  nlohmann::json logprobs_ = nlohmann::json::array();
  nlohmann::json prompt_logprobs_ = nlohmann::json::array();
  std::optional<v1::Prompt> prompt_;
  v1::Finish finish_;
};

/// "eos", "stop_string", "max_tokens", ...
std::string FinishReasonName(v1::FinishReason reason);

}  // namespace mlad
