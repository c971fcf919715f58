// What a tokenizer is made of, read from the metadata of a GGUF file.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "model/byte_pair_merger.h"
#include "model/gguf_file.h"
#include "model/pre_tokenizer.h"
#include "model/special_tokens.h"
#include "model/vocabulary.h"

namespace mlad {

struct TokenizerParts {
  explicit TokenizerParts(PreTokenizer cutter)
      : pre_tokenizer(std::move(cutter)) {}

  Vocabulary vocabulary;
  PreTokenizer pre_tokenizer;
  BytePairMerger merger;
  SpecialTokens special;
  bool has_all_bytes = true;     // a token for each of the 256
  int32_t bos_id = -1;           // -1: none
  int32_t eos_id = -1;           // -1: none
  std::vector<int32_t> end_ids;  // of generation; ascending
  bool adds_bos = false;
  bool adds_eos = false;
};

/// Errors: kUnimplemented naming tokenizer.ggml.model or .pre when unknown;
/// kInvalidArgument for inconsistent vocabulary, merges or ids.
absl::StatusOr<TokenizerParts> ReadTokenizerParts(const GgufFile& file);

}  // namespace mlad
