#include "model/shapes.h"

namespace mlad {

RopeConfig MakeRopeConfig(const Hyperparameters& shape) {
  RopeConfig config;
  config.dim = shape.qk_rope_head_dim;
  config.theta = shape.rope.theta;
  config.factor = shape.rope.factor;
  config.original_context = shape.rope.original_max_position_embeddings;
  config.beta_fast = shape.rope.beta_fast;
  config.beta_slow = shape.rope.beta_slow;
  config.log_multiplier = shape.rope.log_multiplier;
  return config;
}

AbsorbedShape MakeAbsorbedShape(const Hyperparameters& shape) {
  AbsorbedShape result;
  result.heads = shape.num_attention_heads;
  result.kv_lora_rank = shape.kv_lora_rank;
  result.rope_dim = shape.qk_rope_head_dim;
  result.softmax_scale = static_cast<float>(
      SoftmaxScale(MakeRopeConfig(shape), shape.qk_head_dim()));
  return result;
}

ExpandedShape MakeExpandedShape(const Hyperparameters& shape) {
  ExpandedShape result;
  result.qk_nope = shape.qk_nope_head_dim;
  result.rope_dim = shape.qk_rope_head_dim;
  result.v_dim = shape.v_head_dim;
  result.kv_lora_rank = shape.kv_lora_rank;
  result.softmax_scale = static_cast<float>(
      SoftmaxScale(MakeRopeConfig(shape), shape.qk_head_dim()));
  return result;
}

RouterShape MakeRouterShape(const Hyperparameters& shape) {
  RouterShape result;
  result.experts = shape.n_routed_experts;
  result.experts_per_token = shape.num_experts_per_tok;
  result.groups = shape.n_group;
  result.groups_used = shape.topk_group;
  result.scoring = shape.scoring_func == ScoringFunc::kSigmoid
                       ? RouterScoring::kSigmoid
                       : RouterScoring::kSoftmax;
  result.normalize = shape.norm_topk_prob;
  result.scale = static_cast<float>(shape.routed_scaling_factor);
  return result;
}

}  // namespace mlad
