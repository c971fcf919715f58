#include "rpc/request_validation.h"

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

absl::Status OutOfRange(absl::string_view field, const absl::AlphaNum& value,
                        absl::string_view range) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; it must be ", range));
}

/// Leaves `out` alone when the field is not set. Comparisons are written so
/// that NaN is out of range.
struct FloatField {
  absl::string_view name;
  bool is_set;
  float value;
  float low, high;
  bool includes_low, includes_high;
  float* out;

  absl::Status Read() const {
    if (!is_set) return absl::OkStatus();
    const bool above = includes_low ? value >= low : value > low;
    const bool below = includes_high ? value <= high : value < high;
    if (above && below) {
      *out = value;
      return absl::OkStatus();
    }
    return OutOfRange(absl::StrCat("options.sampling.", name), value,
                      absl::StrCat("in ", includes_low ? "[" : "(", low, ", ",
                                   high, includes_high ? "]" : ")"));
  }
};

absl::Status ReadLogitBias(const v1::Sampling& sampling, int64_t vocab_size,
                           SamplingParams& params) {
  constexpr absl::string_view kField = "options.sampling.logit_bias";
  if (sampling.logit_bias_size() > static_cast<int>(kMaxLogitBiases)) {
    return OutOfRange(absl::StrCat("the number of ", kField),
                      sampling.logit_bias_size(),
                      absl::StrCat("at most ", kMaxLogitBiases));
  }
  for (int i = 0; i < sampling.logit_bias_size(); ++i) {
    const v1::LogitBias& bias = sampling.logit_bias(i);
    if (bias.id() < 0 || bias.id() >= vocab_size) {
      return OutOfRange(
          absl::StrCat(kField, "[", i, "].id"), bias.id(),
          absl::StrCat("in [0, ", vocab_size, "), the model's vocabulary"));
    }
    if (!(bias.bias() >= -100 && bias.bias() <= 100)) {
      return OutOfRange(absl::StrCat(kField, "[", i, "].bias"), bias.bias(),
                        "in [-100, 100]");
    }
    params.logit_bias.push_back({bias.id(), bias.bias()});
  }
  return absl::OkStatus();
}

absl::Status ReadFormat(const v1::GenerationOptions& options,
                        OutputFormat& format) {
  switch (options.format_case()) {
    case v1::GenerationOptions::kJsonObject:
      if (options.json_object()) format.kind = OutputFormat::Kind::kJsonObject;
      break;
    case v1::GenerationOptions::kJsonSchema:
      format = {OutputFormat::Kind::kJsonSchema, options.json_schema()};
      break;
    case v1::GenerationOptions::kGrammar:
      format = {OutputFormat::Kind::kGrammar, options.grammar()};
      break;
    case v1::GenerationOptions::FORMAT_NOT_SET:
      break;
  }
  if (format.kind != OutputFormat::Kind::kFree && options.ignore_eos()) {
    return absl::InvalidArgumentError(
        "options.ignore_eos does not go with options.json_object, json_schema "
        "or grammar, which end the text; leave one of them out");
  }
  return absl::OkStatus();
}

/// Leaves `out` alone when the field is not set.
absl::Status ReadLogprobs(absl::string_view field, bool is_set, int32_t value,
                          int& out) {
  if (!is_set) return absl::OkStatus();
  if (value < 0 || value > kMaxLogprobs) {
    return OutOfRange(field, value, absl::StrCat("in [0, ", kMaxLogprobs, "]"));
  }
  out = value;
  return absl::OkStatus();
}

absl::Status ReadStops(const v1::GenerationOptions& options,
                       GenerationRequest& request) {
  if (options.stop_size() > kMaxStopStrings) {
    return OutOfRange("the number of options.stop", options.stop_size(),
                      absl::StrCat("at most ", kMaxStopStrings));
  }
  for (int i = 0; i < options.stop_size(); ++i) {
    const std::string& stop = options.stop(i);
    if (stop.empty() || stop.size() > kMaxStopStringBytes) {
      return OutOfRange(absl::StrCat("the size of options.stop[", i, "]"),
                        absl::StrCat(stop.size(), " bytes"),
                        absl::StrCat("1 to ", kMaxStopStringBytes, " bytes"));
    }
    request.stop.push_back(stop);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SamplingParams> ReadSampling(const v1::Sampling& sampling,
                                            int64_t vocab_size) {
  SamplingParams params;
  params.greedy = sampling.greedy();
  params.temperature = 0.7f;
  params.top_p = 0.95f;
  params.seed = sampling.seed();
  const FloatField fields[] = {
      {"temperature", sampling.has_temperature(), sampling.temperature(), 0,
       100, true, true, &params.temperature},
      {"top_p", sampling.has_top_p(), sampling.top_p(), 0, 1, false, true,
       &params.top_p},
      {"min_p", sampling.has_min_p(), sampling.min_p(), 0, 1, true, false,
       &params.min_p},
      {"repetition_penalty", sampling.has_repetition_penalty(),
       sampling.repetition_penalty(), 0, 10, false, true,
       &params.repetition_penalty},
      {"frequency_penalty", sampling.has_frequency_penalty(),
       sampling.frequency_penalty(), -2, 2, true, true,
       &params.frequency_penalty},
      {"presence_penalty", sampling.has_presence_penalty(),
       sampling.presence_penalty(), -2, 2, true, true,
       &params.presence_penalty},
  };
  for (const FloatField& field : fields) MLAD_RETURN_IF_ERROR(field.Read());
  if (sampling.top_k() < 0) {
    return OutOfRange("options.sampling.top_k", sampling.top_k(),
                      "at least 0; 0 is no limit");
  }
  params.top_k = sampling.top_k();
  MLAD_RETURN_IF_ERROR(ReadLogitBias(sampling, vocab_size, params));
  return params;
}

absl::StatusOr<GenerationRequest> ReadGenerationOptions(
    const v1::GenerationOptions& options, int64_t vocab_size) {
  GenerationRequest request;
  MLAD_ASSIGN_OR_RETURN(request.sampling,
                        ReadSampling(options.sampling(), vocab_size));
  if (options.has_max_tokens()) {
    if (options.max_tokens() < 1) {
      return OutOfRange("options.max_tokens", options.max_tokens(),
                        "at least 1; leave it out to have no limit");
    }
    request.max_tokens = options.max_tokens();
  }
  MLAD_RETURN_IF_ERROR(ReadStops(options, request));
  if (options.stop_token_ids_size() > kMaxStopTokenIds) {
    return OutOfRange("the number of options.stop_token_ids",
                      options.stop_token_ids_size(),
                      absl::StrCat("at most ", kMaxStopTokenIds));
  }
  MLAD_ASSIGN_OR_RETURN(request.stop_token_ids,
                        ReadTokenIds(options.stop_token_ids(), vocab_size,
                                     "options.stop_token_ids"));
  request.ignore_eos = options.ignore_eos();
  request.exact_reuse = options.exact_reuse();
  MLAD_ASSIGN_OR_RETURN(request.priority,
                        ReadPriority(options.priority(), "options.priority"));
  MLAD_RETURN_IF_ERROR(ReadLogprobs("options.logprobs", options.has_logprobs(),
                                    options.logprobs(), request.logprobs));
  MLAD_RETURN_IF_ERROR(
      ReadLogprobs("options.prompt_logprobs", options.has_prompt_logprobs(),
                   options.prompt_logprobs(), request.prompt_logprobs));
  MLAD_RETURN_IF_ERROR(ReadFormat(options, request.format));
  request.split_reasoning = options.split_reasoning();
  return request;
}

absl::StatusOr<std::vector<int32_t>> ReadTokenIds(
    const google::protobuf::RepeatedField<int32_t>& ids, int64_t vocab_size,
    std::string_view field) {
  for (int i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < vocab_size) continue;
    return OutOfRange(
        absl::StrCat(absl::string_view(field.data(), field.size()), "[", i,
                     "]"),
        ids[i],
        absl::StrCat("in [0, ", vocab_size, "), the model's vocabulary"));
  }
  return std::vector<int32_t>(ids.begin(), ids.end());
}

absl::Status ValidateMessages(const v1::ChatRequest& request) {
  if (request.messages_size() == 0) {
    return absl::InvalidArgumentError(
        "messages is empty; send at least one message");
  }
  for (int i = 0; i < request.messages_size(); ++i) {
    const std::string& role = request.messages(i).role();
    if (role == "system" || role == "user" || role == "assistant") continue;
    constexpr size_t kMaxShownBytes = 32;
    return absl::InvalidArgumentError(
        absl::StrCat("messages[", i, "].role is '",
                     role.size() <= kMaxShownBytes ? role : "(long)",
                     "'; it must be 'system', 'user' or 'assistant'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> ReadPriority(int32_t priority, std::string_view field) {
  if (priority >= -kMaxPriority && priority <= kMaxPriority) return priority;
  return OutOfRange(
      absl::string_view(field.data(), field.size()), priority,
      absl::StrCat("in [", -kMaxPriority, ", ", kMaxPriority, "]"));
}

absl::Status ValidateTopLogprobs(int32_t top_logprobs) {
  if (top_logprobs >= 0 && top_logprobs <= kMaxLogprobs) {
    return absl::OkStatus();
  }
  return OutOfRange("top_logprobs", top_logprobs,
                    absl::StrCat("in [0, ", kMaxLogprobs, "]"));
}

}  // namespace mlad
