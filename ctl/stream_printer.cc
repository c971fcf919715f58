#include "ctl/stream_printer.h"

#include <iostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

#include "ctl/json_output.h"

namespace mlad {

std::string FinishReasonName(v1::FinishReason reason) {
  std::string name = v1::FinishReason_Name(reason);
  return absl::AsciiStrToLower(absl::StripPrefix(name, "FINISH_REASON_"));
}

void StreamPrinter::Show(const v1::GenerateResponse& message) {
  switch (message.event_case()) {
    case v1::GenerateResponse::kPromptProgress: {
      const auto& progress = message.prompt_progress();
      progress_.Show(
          absl::StrFormat("reading the prompt: %d of %d tokens (%.0f%%)",
                          progress.tokens_done(), progress.tokens_total(),
                          100.0 * static_cast<double>(progress.tokens_done()) /
                              static_cast<double>(std::max<int64_t>(
                                  progress.tokens_total(), 1))));
      return;
    }
    case v1::GenerateResponse::kToken:
      ShowToken(message.token());
      return;
    case v1::GenerateResponse::kFinish:
      progress_.Clear();
      finish_ = message.finish();
      ShowText(finish_.reasoning(), finish_.text());
      return;
    case v1::GenerateResponse::kPrompt:
      ShowPrompt(message.prompt());
      return;
    case v1::GenerateResponse::kPromptLogprobs:
      for (nlohmann::json& score : ToJson(message.prompt_logprobs().scores())) {
        prompt_logprobs_.push_back(std::move(score));
      }
      return;
    case v1::GenerateResponse::EVENT_NOT_SET:
      return;
  }
}

void StreamPrinter::ShowToken(const v1::Token& token) {
  progress_.Clear();
  ShowText(token.reasoning(), token.text());
  if (!json_) return;
  ids_.push_back(token.id());
  if (token.has_logprob()) {
    logprobs_.push_back({{"id", token.id()},
                         {"logprob", token.logprob()},
                         {"alternatives", ToJson(token.alternatives())}});
  }
}

void StreamPrinter::ShowPrompt(const v1::Prompt& prompt) {
  prompt_ = prompt;
  if (!json_) PrintText(prompt.text());
}

void StreamPrinter::ShowText(const std::string& reasoning,
                             const std::string& text) {
  if (!json_ && text_to_terminal_) {
    if (!reasoning.empty()) {
      std::cout << Colours().Dim(ForTerminal(reasoning, true)) << std::flush;
    }
    const bool answer_begins = text_.empty() && !text.empty();
    if (answer_begins && !(reasoning_ + reasoning).empty()) std::cout << "\n\n";
  }
  reasoning_ += reasoning;
  text_ += text;
  if (!json_) PrintText(text);
}

void StreamPrinter::PrintText(const std::string& text) const {
  std::cout << ForTerminal(text, text_to_terminal_) << std::flush;
}

void StreamPrinter::PrintJson() const {
  nlohmann::json object = {
      {"token_ids", ids_},
      {"text", text_},
      {"finish_reason", FinishReasonName(finish_.reason())},
      {"seed", finish_.seed()},
      {"usage",
       {{"prompt_tokens", finish_.usage().prompt_tokens()},
        {"completion_tokens", finish_.usage().completion_tokens()},
        {"cached_tokens", finish_.usage().cached_tokens()},
        {"inexact_tokens", finish_.usage().inexact_tokens()}}},
      {"timings",
       {{"queued_ms", finish_.timings().queued_ms()},
        {"prompt_ms", finish_.timings().prompt_ms()},
        {"generation_ms", finish_.timings().generation_ms()},
        {"prompt_tokens_per_s", finish_.timings().prompt_tokens_per_s()},
        {"tokens_per_s", finish_.timings().tokens_per_s()}}}};
  if (!finish_.stop_string().empty()) {
    object["stop_string"] = finish_.stop_string();
  }
  if (!logprobs_.empty()) object["logprobs"] = logprobs_;
  if (!reasoning_.empty()) object["reasoning"] = reasoning_;
  if (prompt_.has_value()) {
    object["prompt"] = {{"token_ids", prompt_->ids()},
                        {"text", prompt_->text()}};
  }
  if (!prompt_logprobs_.empty()) object["prompt_logprobs"] = prompt_logprobs_;
  PrintJsonLine(object);
}

void StreamPrinter::Finish() {
  progress_.Clear();
  if (json_) {
    PrintJson();
    return;
  }
  std::cout << std::endl;
  if (!IsTerminal(2) || finish_.usage().completion_tokens() == 0) return;
  std::cerr << absl::StreamFormat(
      "[%d + %d tokens; prompt %.0f tokens/s, generation %.1f tokens/s; %s]\n",
      finish_.usage().prompt_tokens(), finish_.usage().completion_tokens(),
      finish_.timings().prompt_tokens_per_s(), finish_.timings().tokens_per_s(),
      FinishReasonName(finish_.reason()));
}

}  // namespace mlad
