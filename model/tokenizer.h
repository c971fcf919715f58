// Byte-level BPE of DeepSeek models, from the metadata of a GGUF file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "model/gguf_file.h"

namespace mlad {

struct EncodeOptions {
  bool add_bos = true;        // where the file's BOS policy asks for it
  bool parse_special = true;  // text of added tokens becomes their ids
  bool add_eos = false;       // where the file's EOS policy asks for it
};

class Tokenizer {
 public:
  /// Errors: kUnimplemented naming tokenizer.ggml.model or .pre when unknown;
  /// kInvalidArgument for inconsistent vocabulary, merges or ids.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Create(
      const GgufFile& file);
  ~Tokenizer();

  /// Any bytes are accepted, valid UTF-8 or not, and decode to themselves; but
  /// a byte that no UTF-8 text has and that the vocabulary lacks (those of
  /// deepseek-llm and deepseek-coder do) becomes U+FFFD. Less than 2 GiB.
  /// Any number of threads may call.
  /// Time O(n log n) in the bytes of the text
  std::vector<int32_t> Encode(std::string_view text,
                              const EncodeOptions& options) const;
  /// Bytes of the tokens, in order. Ids outside the vocabulary are skipped.
  /// Control tokens (BOS, EOS, ...) give nothing unless `with_special`.
  std::string Decode(absl::Span<const int32_t> ids, bool with_special) const;
  /// Bytes of one token, control tokens too; empty for an id outside the
  /// vocabulary.
  std::string_view TokenBytes(int32_t id) const;
  bool IsControl(int32_t id) const;

  int64_t vocab_size() const;
  int32_t bos_id() const;  // -1: none
  int32_t eos_id() const;  // -1: none
  /// All ids that end generation: EOS, end of turn, ... Ascending.
  absl::Span<const int32_t> end_of_generation_ids() const;
  bool adds_bos() const;
  bool adds_eos() const;

 private:
  struct Impl;

  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Turns a stream of tokens into text, never emitting part of a UTF-8
/// character: incomplete bytes wait for the next token; bytes that cannot
/// become valid turn into U+FFFD. Control tokens give nothing.
class StreamingDetokenizer {
 public:
  explicit StreamingDetokenizer(const Tokenizer& tokenizer)
      : tokenizer_(tokenizer) {}
  std::string Add(int32_t id);
  /// What is still waiting, as U+FFFD if incomplete.
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;
};

}  // namespace mlad
