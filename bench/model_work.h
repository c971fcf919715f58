// The arithmetic that a token asks for at least, to compare with what a machine
// can do.
#pragma once

#include <cstdint>

#include "model/gguf_file.h"
#include "model/hyperparameters.h"
#include "quant/kv_type.h"

namespace mlad {

/// Operations, a multiplication and an addition counting one each.
struct TokenWork {
  double int8_ops = 0;  // those that int8 products could do
  double f32_ops = 0;

  double ops() const { return int8_ops + f32_ops; }
};

/// Products with quantised weights count as int8, others as f32. Products of
/// attention count as int8 with a cache of int8 codes (q8_0, q8_kv), as f32
/// with the others. Kernels may do more: round a tile up, multiply by 16-bit
/// activations in two halves, expand latents.
class ModelWork {
 public:
  ModelWork(const GgufFile& file, const Hyperparameters& shape, KvType kv_type);

  /// Mean over `tokens` prompt tokens after `depth` others, in the expanded
  /// form of attention; only the last one's logits are wanted.
  TokenWork PromptToken(int64_t depth, int64_t tokens) const;
  /// Mean over `tokens` generated tokens after `depth` others: absorbed form,
  /// logits of every token.
  TokenWork GeneratedToken(int64_t depth, int64_t tokens) const;

 private:
  void AddMatrix(const GgufTensor& tensor, double share, TokenWork& work) const;
  void AddAttention(double ops, TokenWork& work) const;

  TokenWork layers_;  // all matrices but the output
  TokenWork output_;
  double expanded_ops_per_position_ = 0;  // of attention, all layers
  double absorbed_ops_per_position_ = 0;
  bool int8_cache_ = false;
};

}  // namespace mlad
