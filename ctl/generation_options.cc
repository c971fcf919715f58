#include "ctl/generation_options.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/status.h"
#include "ctl/input.h"

namespace mlad {
namespace {

absl::Status AddLogitBias(const SamplingOptions& options,
                          v1::Sampling& sampling) {
  for (const std::string& text : options.logit_bias) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(text, absl::MaxSplits('=', 1));
    int32_t id = 0;
    float bias = 0;
    if (!absl::SimpleAtoi(parts.first, &id) ||
        !absl::SimpleAtof(parts.second, &bias)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--logit-bias '", text, "' is not ID=BIAS, as in 42=-100"));
    }
    v1::LogitBias& entry = *sampling.add_logit_bias();
    entry.set_id(id);
    entry.set_bias(bias);
  }
  return absl::OkStatus();
}

absl::Status SetFormat(const SamplingOptions& options,
                       v1::GenerationOptions& request) {
  const bool has_schema = !options.json_schema_file.empty();
  const bool has_grammar = !options.grammar_file.empty();
  if (options.json_mode + has_schema + has_grammar > 1) {
    return absl::InvalidArgumentError(
        "more than one of --json-mode, --json-schema and --grammar given; give "
        "one");
  }
  if (options.json_mode) request.set_json_object(true);
  if (has_schema) {
    MLAD_ASSIGN_OR_RETURN(*request.mutable_json_schema(),
                          ReadInputFile(options.json_schema_file));
  }
  if (has_grammar) {
    MLAD_ASSIGN_OR_RETURN(*request.mutable_grammar(),
                          ReadInputFile(options.grammar_file));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::GenerationOptions> MakeGenerationOptions(
    const SamplingOptions& options) {
  v1::GenerationOptions request;
  v1::Sampling& sampling = *request.mutable_sampling();
  if (options.greedy) sampling.set_greedy(true);
  if (options.temperature) sampling.set_temperature(*options.temperature);
  if (options.top_k) sampling.set_top_k(*options.top_k);
  if (options.top_p) sampling.set_top_p(*options.top_p);
  if (options.min_p) sampling.set_min_p(*options.min_p);
  if (options.repetition_penalty) {
    sampling.set_repetition_penalty(*options.repetition_penalty);
  }
  if (options.frequency_penalty) {
    sampling.set_frequency_penalty(*options.frequency_penalty);
  }
  if (options.presence_penalty) {
    sampling.set_presence_penalty(*options.presence_penalty);
  }
  if (options.seed) sampling.set_seed(*options.seed);
  if (options.max_tokens) request.set_max_tokens(*options.max_tokens);
  for (const std::string& stop : options.stop) request.add_stop(stop);
  for (const int32_t id : options.stop_tokens) request.add_stop_token_ids(id);
  if (options.ignore_eos) request.set_ignore_eos(true);
  if (options.exact_reuse) request.set_exact_reuse(true);
  if (options.priority) request.set_priority(*options.priority);
  if (options.logprobs) request.set_logprobs(*options.logprobs);
  MLAD_RETURN_IF_ERROR(AddLogitBias(options, sampling));
  MLAD_RETURN_IF_ERROR(SetFormat(options, request));
  if (options.split_reasoning) {
    request.set_split_reasoning(*options.split_reasoning);
  }
  if (options.echo) request.set_echo(true);
  if (options.prompt_logprobs) {
    request.set_prompt_logprobs(*options.prompt_logprobs);
  }
  return request;
}

}  // namespace mlad
