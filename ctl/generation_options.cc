#include "ctl/generation_options.h"

namespace mlad {

v1::GenerationOptions MakeGenerationOptions(const SamplingOptions& options) {
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
  return request;
}

}  // namespace mlad
