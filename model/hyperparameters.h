// Hyperparameters of `deepseek2` models, named as in their Hugging Face config.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "model/gguf_file.h"

namespace mlad {

enum class ScoringFunc : uint8_t { kSoftmax, kSigmoid };

struct RopeParameters {
  double theta = 10000;
  // YaRN (arXiv:2309.00071); factor 1 means no scaling.
  double factor = 1;
  int64_t original_max_position_embeddings = 0;
  double beta_fast = 32;
  double beta_slow = 1;
  // rope.scaling.yarn_log_multiplier: 0.1 * mscale_all_dim.
  double log_multiplier = 0;
};

struct Hyperparameters {
  std::string name;
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t max_position_embeddings = 0;
  int64_t num_attention_heads = 0;
  int64_t q_lora_rank = 0;  // 0: queries are not compressed
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
  double rms_norm_eps = 1e-6;
  RopeParameters rope;

  int64_t first_k_dense_replace = 0;  // leading layers without experts
  int64_t intermediate_size = 0;      // of those layers
  int64_t n_routed_experts = 0;       // 0: no expert layers at all
  int64_t n_shared_experts = 0;
  int64_t num_experts_per_tok = 0;
  int64_t moe_intermediate_size = 0;
  int64_t n_group = 1;
  int64_t topk_group = 1;
  ScoringFunc scoring_func = ScoringFunc::kSoftmax;
  bool norm_topk_prob = false;
  double routed_scaling_factor = 1;

  bool has_split_kv_b = false;  // attn_k_b + attn_v_b instead of attn_kv_b
  bool tied_embeddings = false;

  int64_t latent_row_elements() const {
    return kv_lora_rank + qk_rope_head_dim;
  }
  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
};

/// Reads and cross-checks metadata and tensor shapes of a deepseek2 file:
/// afterwards every tensor the forward pass reads exists with the right shape.
/// Errors: kUnimplemented for another architecture or variant, naming it;
/// kInvalidArgument for contradictions, naming key or tensor.
absl::StatusOr<Hyperparameters> ReadHyperparameters(const GgufFile& file);

}  // namespace mlad
