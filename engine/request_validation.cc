#include "engine/request_validation.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

absl::Status ValidateIds(absl::string_view what, absl::Span<const int32_t> ids,
                         int64_t vocab_size) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " ", i, " is the token id ", ids[i],
                       "; the model's ids are 0 to ", vocab_size - 1, "."));
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateLogprobs(absl::string_view name, int value, int lowest) {
  if (value >= lowest && value <= kMaxLogprobs) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      name, " is ", value, "; give a number from 0 to ", kMaxLogprobs, "."));
}

absl::Status ValidatePriority(int priority) {
  if (priority >= -kMaxPriority && priority <= kMaxPriority) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("The priority is ", priority, "; give a number from ",
                   -kMaxPriority, " to ", kMaxPriority, "."));
}

absl::Status ValidateStops(const GenerationRequest& request,
                           int64_t vocab_size) {
  if (request.stop.size() > kMaxStopStrings) {
    return absl::InvalidArgumentError(
        absl::StrCat("There are ", request.stop.size(),
                     " stop strings; give at most ", kMaxStopStrings, "."));
  }
  for (const std::string& stop : request.stop) {
    if (stop.empty() || stop.size() > kMaxStopStringBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("A stop string has ", stop.size(), " bytes; give 1 to ",
                       kMaxStopStringBytes, "."));
    }
    if ((static_cast<unsigned char>(stop[0]) & 0xC0u) == 0x80u) {
      return absl::InvalidArgumentError(
          "A stop string begins within a UTF-8 character; begin it with a "
          "whole one.");
    }
  }
  if (request.stop_token_ids.size() > kMaxStopTokenIds) {
    return absl::InvalidArgumentError(
        absl::StrCat("There are ", request.stop_token_ids.size(),
                     " stop token ids; give at most ", kMaxStopTokenIds, "."));
  }
  return ValidateIds("Stop token", request.stop_token_ids, vocab_size);
}

/// `tokens`: of the text; `reserved`: what else the request surely needs.
absl::Status ValidateLength(int64_t tokens, int64_t reserved,
                            const RequestLimits& limits) {
  if (tokens + (reserved > 0 ? 1 : 0) > limits.context_tokens) {
    return absl::OutOfRangeError(absl::StrCat(
        "The text has ", tokens, " tokens",
        reserved > 0 ? " and needs room for at least one more" : "",
        ", but the context is ", limits.context_tokens,
        " tokens; shorten the text or serve with a larger context."));
  }
  if (tokens + reserved > limits.cache_tokens) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "The request needs up to ", tokens + reserved,
        " tokens of cache, but the whole cache holds ", limits.cache_tokens,
        " of one request; ask for fewer tokens or serve with a larger cache."));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateRequest(const GenerationRequest& request,
                             const RequestLimits& limits) {
  if (request.prompt.empty()) {
    return absl::InvalidArgumentError(
        "The prompt is empty; give at least one token.");
  }
  MLAD_RETURN_IF_ERROR(
      ValidateIds("Prompt token", request.prompt, limits.vocab_size));
  MLAD_RETURN_IF_ERROR(ValidateSampling(request.sampling));
  for (const LogitBias& bias : request.sampling.logit_bias) {
    MLAD_RETURN_IF_ERROR(
        ValidateIds("Logit bias", {&bias.id, 1}, limits.vocab_size));
  }
  if (request.max_tokens < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_tokens is ", request.max_tokens,
                     "; give at least 1, or 0 for as many as fit."));
  }
  MLAD_RETURN_IF_ERROR(ValidateStops(request, limits.vocab_size));
  MLAD_RETURN_IF_ERROR(ValidateLogprobs("logprobs", request.logprobs, -1));
  MLAD_RETURN_IF_ERROR(ValidatePriority(request.priority));
  MLAD_RETURN_IF_ERROR(
      ValidateLogprobs("prompt_logprobs", request.prompt_logprobs, -1));
  if (request.ignore_eos && request.format.kind != OutputFormat::Kind::kFree) {
    return absl::InvalidArgumentError(
        "ignore_eos does not go with a grammar or JSON, whose end is the "
        "text's; leave one of them out.");
  }
  const int64_t prompt_tokens = static_cast<int64_t>(request.prompt.size());
  const int64_t room =
      std::max<int64_t>(1, limits.context_tokens - prompt_tokens);
  return ValidateLength(
      prompt_tokens, std::clamp<int64_t>(request.max_tokens, 1, room), limits);
}

absl::Status ValidateRequest(const ScoreRequest& request,
                             const RequestLimits& limits) {
  if (request.tokens.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("The text has ", request.tokens.size(),
                     " tokens; scoring needs at least two."));
  }
  MLAD_RETURN_IF_ERROR(ValidateIds("Token", request.tokens, limits.vocab_size));
  MLAD_RETURN_IF_ERROR(
      ValidateLogprobs("top_logprobs", request.top_logprobs, 0));
  MLAD_RETURN_IF_ERROR(ValidatePriority(request.priority));
  return ValidateLength(static_cast<int64_t>(request.tokens.size()), 0, limits);
}

}  // namespace mlad
