// What mla-ctl's command line can say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlad {

struct ConnectionOptions {
  std::string address = "127.0.0.1:6523";
  double timeout_s = 0;              // of the call; 0: none
  bool tls = false;                  // any of the four next ones means it, too
  std::string ca, certificate, key;  // paths
  std::string server_name;
  std::string token_file;
};

/// Where a text or its ids come from; one of them.
struct InputOptions {
  std::vector<std::string> words;  // joined by spaces; none: standard input
  std::string file;
  std::vector<int32_t> tokens;
  bool no_bos = false;
  bool no_special = false;
};

struct SamplingOptions {
  bool greedy = false;
  std::optional<float> temperature, top_p, min_p;
  std::optional<int32_t> top_k;
  std::optional<float> repetition_penalty, frequency_penalty, presence_penalty;
  std::optional<uint64_t> seed;
  std::optional<int64_t> max_tokens;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_tokens;
  bool ignore_eos = false;
  std::optional<int32_t> logprobs;
  bool exact_reuse = false;
  std::optional<int32_t> priority;
  std::vector<std::string> logit_bias;  // "ID=BIAS"
  bool json_mode = false;
  std::string json_schema_file, grammar_file;
  std::optional<bool> split_reasoning;
  bool echo = false;
  std::optional<int32_t> prompt_logprobs;
};

struct CtlOptions {
  ConnectionOptions connection;
  InputOptions input;
  SamplingOptions sampling;
  bool json = false;
  std::string system;         // chat
  int32_t samples = 1;        // generate: answers to the same prompt
  int32_t top = 0;            // score: alternatives per token
  bool per_token = false;     // score: a line per token
  bool with_special = false;  // detokenize
  bool pieces = false;        // tokenize
  double watch_s = 0;         // stats: 0: once
  double top_s = 1;           // between two looks
  std::string shell;          // completion
  std::string action;         // session: save, list, restore or drop
  std::string session;        // its name
  std::string messages_file;  // session: a conversation
};

}  // namespace mlad
