#include "rpc/response_building.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "model/utf8.h"

namespace mlad {
namespace {

v1::FinishReason ToWire(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEos:
      return v1::FINISH_REASON_EOS;
    case FinishReason::kStopString:
      return v1::FINISH_REASON_STOP_STRING;
    case FinishReason::kStopToken:
      return v1::FINISH_REASON_STOP_TOKEN;
    case FinishReason::kMaxTokens:
      return v1::FINISH_REASON_MAX_TOKENS;
    case FinishReason::kContextFull:
      return v1::FINISH_REASON_CONTEXT_FULL;
    case FinishReason::kGrammarEnd:
      return v1::FINISH_REASON_GRAMMAR_END;
    case FinishReason::kCancelled:
      return v1::FINISH_REASON_CANCELLED;
    case FinishReason::kDeadline:
      return v1::FINISH_REASON_DEADLINE;
  }
  return v1::FINISH_REASON_UNSPECIFIED;
}

double Rate(int64_t tokens, absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

/// `message` has repeated TokenAlternative alternatives.
template <typename Message>
void AddAlternatives(const std::vector<TokenLogprob>& top,
                     const Tokenizer& tokenizer, Message& message) {
  for (const TokenLogprob& entry : top) {
    v1::TokenAlternative& alternative = *message.add_alternatives();
    alternative.set_id(entry.id);
    alternative.set_logprob(entry.logprob);
    alternative.set_piece(std::string(tokenizer.TokenBytes(entry.id)));
  }
}

/// Of tokens[i], for each i.
void AddScores(absl::Span<const int32_t> tokens, const ScoreResult& result,
               const Tokenizer& tokenizer,
               google::protobuf::RepeatedPtrField<v1::TokenScore>& scores) {
  scores.Reserve(static_cast<int>(tokens.size()));
  for (size_t i = 0; i < tokens.size(); ++i) {
    v1::TokenScore& score = *scores.Add();
    score.set_id(tokens[i]);
    score.set_piece(std::string(tokenizer.TokenBytes(tokens[i])));
    score.set_logprob(result.logprobs[i]);
    if (i < result.top.size()) AddAlternatives(result.top[i], tokenizer, score);
  }
}

}  // namespace

v1::GenerateResponse PromptResponse(absl::Span<const int32_t> prompt,
                                    const Tokenizer& tokenizer) {
  v1::GenerateResponse response;
  v1::Prompt& message = *response.mutable_prompt();
  message.mutable_ids()->Add(prompt.begin(), prompt.end());
  message.set_text(
      ReplaceInvalidUtf8(tokenizer.Decode(prompt, /*with_special=*/false)));
  return response;
}

v1::GenerateResponse PromptLogprobsResponse(int64_t first,
                                            absl::Span<const int32_t> tokens,
                                            const ScoreResult& result,
                                            const Tokenizer& tokenizer) {
  v1::GenerateResponse response;
  v1::PromptLogprobs& message = *response.mutable_prompt_logprobs();
  message.set_first(first);
  AddScores(tokens, result, tokenizer, *message.mutable_scores());
  return response;
}

v1::GenerateResponse ProgressResponse(int64_t done, int64_t total) {
  v1::GenerateResponse response;
  v1::PromptProgress& progress = *response.mutable_prompt_progress();
  progress.set_tokens_done(done);
  progress.set_tokens_total(total);
  return response;
}

v1::GenerateResponse TokenResponse(const TokenEvent& event, bool with_logprobs,
                                   const Tokenizer& tokenizer) {
  v1::GenerateResponse response;
  v1::Token& token = *response.mutable_token();
  token.set_id(event.token.id);
  token.set_text(event.text);
  token.set_reasoning(event.reasoning);
  if (with_logprobs) {
    token.set_logprob(event.token.logprob);
    AddAlternatives(event.token.top, tokenizer, token);
  }
  return response;
}

v1::GenerateResponse FinishResponse(const FinishEvent& event) {
  v1::GenerateResponse response;
  v1::Finish& finish = *response.mutable_finish();
  finish.set_reason(ToWire(event.reason));
  finish.set_text(event.text);
  finish.set_reasoning(event.reasoning);
  finish.set_stop_string(event.stop_string);
  finish.set_seed(event.seed);

  v1::Usage& usage = *finish.mutable_usage();
  usage.set_prompt_tokens(event.usage.prompt_tokens);
  usage.set_completion_tokens(event.usage.completion_tokens);
  usage.set_cached_tokens(event.usage.cached_tokens);
  usage.set_inexact_tokens(event.usage.inexact_tokens);

  v1::Timings& timings = *finish.mutable_timings();
  timings.set_queued_ms(absl::ToDoubleMilliseconds(event.timings.queued));
  timings.set_prompt_ms(absl::ToDoubleMilliseconds(event.timings.prompt));
  timings.set_generation_ms(
      absl::ToDoubleMilliseconds(event.timings.generation));
  timings.set_prompt_tokens_per_s(
      Rate(event.usage.prompt_tokens - event.usage.cached_tokens,
           event.timings.prompt));
  timings.set_tokens_per_s(
      Rate(event.usage.completion_tokens, event.timings.generation));
  return response;
}

v1::ScoreResponse MakeScoreResponse(absl::Span<const int32_t> tokens,
                                    const ScoreResult& result,
                                    const Tokenizer& tokenizer) {
  v1::ScoreResponse response;
  response.set_first_id(tokens[0]);
  AddScores(tokens.subspan(1), result, tokenizer, *response.mutable_scores());
  double total = 0;
  for (const float logprob : result.logprobs) {
    total += static_cast<double>(logprob);
  }
  response.set_total_logprob(total);
  response.set_perplexity(
      std::exp(-total / static_cast<double>(result.logprobs.size())));
  return response;
}

}  // namespace mlad
