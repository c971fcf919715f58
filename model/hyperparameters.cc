#include "model/hyperparameters.h"

#include <variant>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "model/gguf_cursor.h"
#include "model/metadata_reader.h"
#include "model/model_tensors.h"
#include "quant/packed_matrix.h"

namespace mlad {
namespace {

// Far above every published model, and low enough that no product of two or
// three of them overflows.
constexpr Bounds<int64_t> kLayers{1, 1 << 10};
constexpr Bounds<int64_t> kHeads{1, 1 << 12};
constexpr Bounds<int64_t> kHeadDim{1, 1 << 13};
constexpr Bounds<int64_t> kRank{1, 1 << 16};
constexpr Bounds<int64_t> kWidth{1, 1 << 20};
constexpr Bounds<int64_t> kVocabulary{1, 1 << 24};
constexpr Bounds<int64_t> kPositions{1, 1 << 30};
constexpr Bounds<int64_t> kExperts{0, 1 << 14};
constexpr Bounds<int64_t> kSharedExperts{0, 1 << 6};
constexpr Bounds<double> kFactor{1e-6, 1e6};

absl::Status Contradiction(const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, "; convert the model again"));
}

absl::Status CheckArchitecture(const GgufFile& file) {
  MLAD_ASSIGN_OR_RETURN(const std::string architecture,
                        file.GetString("general.architecture"));
  if (architecture != "deepseek2") {
    return absl::UnimplementedError(absl::StrCat(
        "the model has the architecture ", QuotedForMessage(architecture),
        " and mlad computes 'deepseek2' only; use a model of the DeepSeek V2, "
        "V3 or R1 or of the Kimi K2 family"));
  }
  if (file.FindValue("general.type") == nullptr) return absl::OkStatus();
  MLAD_ASSIGN_OR_RETURN(const std::string type, file.GetString("general.type"));
  if (type == "model") return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("the file holds a ", QuotedForMessage(type),
                   " and not a model; give the path of the model itself"));
}

/// Refuses keys that change the computation in ways that mlad does not know.
void CheckNeutral(MetadataReader& keys, std::string_view key, double neutral) {
  double value = neutral;
  keys.Optional(key, {-1e30, 1e30}, value);
  if (value == neutral) return;
  keys.Fail(absl::UnimplementedError(
      absl::StrCat("the metadata key '", keys.FullKey(key), "' is ", value,
                   ", which mlad does not compute; use another model")));
}

int64_t TokenListSize(const GgufFile& file) {
  const GgufValue* value = file.FindValue("tokenizer.ggml.tokens");
  const GgufArray* array =
      value == nullptr ? nullptr : std::get_if<GgufArray>(value);
  if (array == nullptr) return 0;
  return std::visit(
      [](const auto& values) { return static_cast<int64_t>(values.size()); },
      array->values);
}

void ReadSizes(const GgufFile& file, MetadataReader& keys,
               Hyperparameters& shape) {
  int64_t blocks = 0, extra = 0;
  keys.Required("block_count", kLayers, blocks);
  // Layers for multi-token prediction stand behind the others, in files that
  // keep them, and are counted.
  keys.Optional("nextn_predict_layers", {0, blocks - 1}, extra);
  shape.num_hidden_layers = blocks - extra;
  keys.Required("context_length", kPositions, shape.max_position_embeddings);
  keys.Required("embedding_length", kWidth, shape.hidden_size);
  keys.Required("attention.layer_norm_rms_epsilon", {1e-12, 1e-1},
                shape.rms_norm_eps);

  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  const int64_t tokens = TokenListSize(file);
  shape.vocab_size = embedding == nullptr ? 0 : embedding->rows();
  keys.Optional("vocab_size", kVocabulary, shape.vocab_size);
  if (shape.vocab_size > kVocabulary.max) {
    keys.Fail(absl::InvalidArgumentError(absl::StrCat(
        "the tensor 'token_embd.weight' has ", shape.vocab_size,
        " rows and mlad accepts ", kVocabulary.max, "; use another model")));
  }
  if (tokens > shape.vocab_size) {
    keys.Fail(Contradiction(absl::StrCat(
        "'tokenizer.ggml.tokens' has ", tokens,
        " entries but the model has a vocabulary of ", shape.vocab_size)));
  }
}

/// key_length and value_length are per head in older files; in newer ones they
/// describe the latent row, and the *_mla keys are per head.
void ReadHeadSizes(MetadataReader& keys, Hyperparameters& shape) {
  int64_t key_length = 0, value_length = 0;
  keys.Required("rope.dimension_count", kHeadDim, shape.qk_rope_head_dim);
  if (!keys.Has("attention.key_length_mla")) {
    keys.Required("attention.key_length", kHeadDim, key_length);
    keys.Required("attention.value_length", kHeadDim, shape.v_head_dim);
  } else {
    keys.Required("attention.key_length_mla", kHeadDim, key_length);
    keys.Required("attention.value_length_mla", kHeadDim, shape.v_head_dim);
    int64_t latent_key = shape.latent_row_elements();
    value_length = shape.kv_lora_rank;
    keys.Optional("attention.key_length", {1, 1 << 17}, latent_key);
    keys.Optional("attention.value_length", {1, 1 << 17}, value_length);
    if (latent_key != shape.latent_row_elements() ||
        value_length != shape.kv_lora_rank) {
      keys.Fail(Contradiction(absl::StrCat(
          "'", keys.FullKey("attention.key_length"),
          "' and 'value_length' are ", latent_key, " and ", value_length,
          " beside the *_mla keys instead "
          "of ",
          shape.latent_row_elements(), " and ", shape.kv_lora_rank)));
    }
  }
  shape.qk_nope_head_dim = key_length - shape.qk_rope_head_dim;
  if (shape.qk_nope_head_dim <= 0 ||
      shape.qk_nope_head_dim % kQuantBlock != 0 ||
      shape.qk_rope_head_dim % 2 != 0) {
    keys.Fail(absl::UnimplementedError(absl::StrCat(
        "heads have ", key_length, " key elements, ", shape.qk_rope_head_dim,
        " of them rotary ('", keys.FullKey("rope.dimension_count"),
        "'), and mlad computes with an even number of rotary ones and a "
        "multiple of ",
        kQuantBlock, " others only; use another model")));
  }
}

void ReadAttention(MetadataReader& keys, Hyperparameters& shape) {
  keys.Required("attention.head_count", kHeads, shape.num_attention_heads);
  int64_t kv_heads = 1;
  keys.Optional("attention.head_count_kv", kHeads, kv_heads);
  if (kv_heads != 1 && kv_heads != shape.num_attention_heads) {
    keys.Fail(Contradiction(absl::StrCat(
        "'", keys.FullKey("attention.head_count_kv"), "' is ", kv_heads,
        ", neither 1 nor the ", shape.num_attention_heads, " heads")));
  }
  keys.Optional("attention.q_lora_rank", {0, kRank.max}, shape.q_lora_rank);
  keys.Required("attention.kv_lora_rank", kRank, shape.kv_lora_rank);
  ReadHeadSizes(keys, shape);
  CheckNeutral(keys, "attention.temperature_scale", 0);
  CheckNeutral(keys, "attn_logit_softcapping", 0);
  CheckNeutral(keys, "final_logit_softcapping", 0);
  CheckNeutral(keys, "logit_scale", 0);
}

void ReadRope(MetadataReader& keys, Hyperparameters& shape) {
  RopeParameters& rope = shape.rope;
  keys.Optional("rope.freq_base", {1, 1e12}, rope.theta);
  CheckNeutral(keys, "rope.scale_linear", 1);
  std::string type = keys.Has("rope.scaling.factor") ? "yarn" : "none";
  keys.Optional("rope.scaling.type", type);
  if (type == "none") return;
  if (type != "yarn") {
    keys.Fail(absl::UnimplementedError(
        absl::StrCat("the metadata key '", keys.FullKey("rope.scaling.type"),
                     "' is ", QuotedForMessage(type),
                     " and mlad computes 'yarn' and 'none' only; "
                     "use another model")));
    return;
  }
  keys.Required("rope.scaling.factor", {1, 1e6}, rope.factor);
  rope.original_max_position_embeddings = shape.max_position_embeddings;
  keys.Optional("rope.scaling.original_context_length", kPositions,
                rope.original_max_position_embeddings);
  keys.Optional("rope.scaling.yarn_log_multiplier", {0, 100},
                rope.log_multiplier);
  keys.Optional("rope.scaling.yarn_beta_fast", kFactor, rope.beta_fast);
  keys.Optional("rope.scaling.yarn_beta_slow", kFactor, rope.beta_slow);
  if (rope.beta_fast <= rope.beta_slow) {
    keys.Fail(Contradiction(absl::StrCat(
        "'", keys.FullKey("rope.scaling.yarn_beta_fast"), "' is ",
        rope.beta_fast, ", not above the beta_slow of ", rope.beta_slow)));
  }
  CheckNeutral(keys, "rope.scaling.attn_factor", 1);
  CheckNeutral(keys, "rope.scaling.yarn_attn_factor", 1);
  CheckNeutral(keys, "rope.scaling.yarn_ext_factor", 1);
}

bool HasRouterBias(const GgufFile& file, const Hyperparameters& shape) {
  return file.FindTensor(absl::StrCat("blk.", shape.first_k_dense_replace,
                                      ".exp_probs_b.bias")) != nullptr;
}

/// Files before January 2025 have neither expert_gating_func nor
/// expert_weights_norm. All of them are softmax models without normalisation
/// (V2, V2.5, V2-Lite); a correction bias marks the later sigmoid kind, which
/// normalises.
void ReadScoring(const GgufFile& file, MetadataReader& keys,
                 Hyperparameters& shape) {
  constexpr int64_t kMissing = 0, kSoftmaxId = 1, kSigmoidId = 2;
  int64_t gating = kMissing;
  keys.Optional("expert_gating_func", {0, 1 << 10}, gating);
  if (gating == kMissing) {
    gating = HasRouterBias(file, shape) ? kSigmoidId : kSoftmaxId;
  }
  if (gating != kSoftmaxId && gating != kSigmoidId) {
    keys.Fail(absl::UnimplementedError(
        absl::StrCat("the metadata key '", keys.FullKey("expert_gating_func"),
                     "' is ", gating,
                     " and mlad computes 1 (softmax) and 2 (sigmoid) only; use "
                     "another model")));
  }
  shape.scoring_func =
      gating == kSigmoidId ? ScoringFunc::kSigmoid : ScoringFunc::kSoftmax;
  shape.norm_topk_prob = gating == kSigmoidId;
  keys.Optional("expert_weights_norm", shape.norm_topk_prob);
  shape.routed_scaling_factor = 0;
  keys.Optional("expert_weights_scale", {0, 1e6}, shape.routed_scaling_factor);
  // Some converters write 0 for "no scaling".
  if (shape.routed_scaling_factor == 0) shape.routed_scaling_factor = 1;
}

void ReadGroups(MetadataReader& keys, Hyperparameters& shape) {
  const int64_t experts = shape.n_routed_experts;
  int64_t groups = 0, used = 0;
  keys.Optional("expert_group_count", {0, experts}, groups);
  if (groups <= 1) return;  // one group of all experts
  keys.Required("expert_group_used_count", {1, groups}, used);
  if (experts % groups != 0) {
    keys.Fail(Contradiction(
        absl::StrCat("'", keys.FullKey("expert_group_count"), "' is ", groups,
                     ", which does not divide the ", experts, " experts")));
  } else if (shape.num_experts_per_tok > experts / groups * used) {
    keys.Fail(Contradiction(absl::StrCat("'", keys.FullKey("expert_used_count"),
                                         "' is ", shape.num_experts_per_tok,
                                         ", more than the ", used,
                                         " groups chosen have experts")));
  }
  shape.n_group = groups;
  shape.topk_group = used;
}

void ReadFeedForward(const GgufFile& file, MetadataReader& keys,
                     Hyperparameters& shape) {
  const int64_t layers = shape.num_hidden_layers;
  keys.Optional("expert_count", kExperts, shape.n_routed_experts);
  keys.Optional("leading_dense_block_count", {0, layers},
                shape.first_k_dense_replace);
  if (shape.n_routed_experts == 0) shape.first_k_dense_replace = layers;
  if (shape.first_k_dense_replace > 0) {
    keys.Required("feed_forward_length", kWidth, shape.intermediate_size);
  }
  if (shape.first_k_dense_replace == layers) {
    shape.n_routed_experts = 0;
    return;
  }
  keys.Required("expert_used_count", {1, shape.n_routed_experts},
                shape.num_experts_per_tok);
  keys.Required("expert_feed_forward_length", kWidth,
                shape.moe_intermediate_size);
  keys.Optional("expert_shared_count", kSharedExperts, shape.n_shared_experts);
  ReadScoring(file, keys, shape);
  ReadGroups(keys, shape);
}

}  // namespace

absl::StatusOr<Hyperparameters> ReadHyperparameters(const GgufFile& file) {
  const absl::Status architecture = CheckArchitecture(file);
  Hyperparameters shape;
  MetadataReader keys(file, "deepseek2.");
  keys.Fail(architecture);
  ReadSizes(file, keys, shape);
  ReadAttention(keys, shape);
  ReadRope(keys, shape);
  ReadFeedForward(file, keys, shape);
  MLAD_RETURN_IF_ERROR(keys.status());

  const GgufValue* name = file.FindValue("general.name");
  if (name != nullptr && std::holds_alternative<std::string>(*name)) {
    shape.name = std::get<std::string>(*name);
  }
  shape.has_split_kv_b = file.FindTensor("blk.0.attn_kv_b.weight") == nullptr &&
                         file.FindTensor("blk.0.attn_k_b.weight") != nullptr;
  shape.tied_embeddings = file.FindTensor("output.weight") == nullptr;
  MLAD_RETURN_IF_ERROR(CheckModelTensors(file, shape));
  return shape;
}

}  // namespace mlad
