// The variants of deepseek2 files that are read. Those that are refused:
// hyperparameters_errors_test.cc.
#include "model/hyperparameters.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/tiny_model.h"

#include "model/gguf_writer.h"

namespace mlad {
namespace {

/// Default values, and a failure, when the model is refused.
Hyperparameters MustRead(const GgufWriter& writer) {
  const std::vector<std::byte> header = writer.BuildHeader();
  const auto file = GgufFile::Parse(header, {.header_only = true});
  EXPECT_TRUE(file.ok()) << file.status();
  if (!file.ok()) return {};
  const auto shape = ReadHyperparameters(**file);
  EXPECT_TRUE(shape.ok()) << shape.status();
  return shape.value_or(Hyperparameters());
}

Hyperparameters MustRead(const TinyModelOptions& options) {
  return MustRead(TinyModel(options));
}

TEST(Hyperparameters, ReadsEveryNumber) {
  TinyModelOptions options;
  options.groups = 4;
  options.groups_used = 2;
  options.yarn_factor = 40;
  const Hyperparameters shape = MustRead(options);
  EXPECT_EQ(shape.name, "tiny");
  EXPECT_EQ(shape.vocab_size, 320);
  EXPECT_EQ(shape.hidden_size, 64);
  EXPECT_EQ(shape.num_hidden_layers, 3);
  EXPECT_EQ(shape.max_position_embeddings, 512);
  EXPECT_EQ(shape.num_attention_heads, 4);
  EXPECT_EQ(shape.q_lora_rank, 32);
  EXPECT_EQ(shape.kv_lora_rank, 64);
  EXPECT_EQ(shape.qk_nope_head_dim, 32);
  EXPECT_EQ(shape.qk_rope_head_dim, 32);
  EXPECT_EQ(shape.v_head_dim, 32);
  EXPECT_FLOAT_EQ(shape.rms_norm_eps, 1e-6f);
  EXPECT_EQ(shape.rope.theta, 10000);
  EXPECT_EQ(shape.rope.factor, 40);
  EXPECT_EQ(shape.rope.original_max_position_embeddings, 64);
  EXPECT_EQ(shape.rope.beta_fast, 32);
  EXPECT_EQ(shape.rope.beta_slow, 1);
  EXPECT_FLOAT_EQ(shape.rope.log_multiplier, 0.1f);
  EXPECT_EQ(shape.first_k_dense_replace, 1);
  EXPECT_EQ(shape.intermediate_size, 96);
  EXPECT_EQ(shape.n_routed_experts, 8);
  EXPECT_EQ(shape.n_shared_experts, 1);
  EXPECT_EQ(shape.num_experts_per_tok, 2);
  EXPECT_EQ(shape.moe_intermediate_size, 32);
  EXPECT_EQ(shape.n_group, 4);
  EXPECT_EQ(shape.topk_group, 2);
  EXPECT_EQ(shape.scoring_func, ScoringFunc::kSigmoid);
  EXPECT_TRUE(shape.norm_topk_prob);
  EXPECT_EQ(shape.routed_scaling_factor, 2.5);
  EXPECT_FALSE(shape.has_split_kv_b);
  EXPECT_FALSE(shape.tied_embeddings);
}

TEST(Hyperparameters, ReadsTheDemoModel) {
  const auto file = GgufFile::Open("deploy/demo/tiny-mla-21m-q8_0.gguf", {});
  ASSERT_TRUE(file.ok()) << file.status();
  const auto shape = ReadHyperparameters(**file);
  ASSERT_TRUE(shape.ok()) << shape.status();
  EXPECT_EQ(shape->vocab_size, 4096);
  EXPECT_EQ(shape->num_hidden_layers, 6);
  EXPECT_EQ(shape->latent_row_elements(), 160);
  EXPECT_EQ(shape->n_group, 4);
  EXPECT_EQ(shape->rope.factor, 1);
}

TEST(Hyperparameters, SplitAndFusedKvBDescribeTheSameHeads) {
  TinyModelOptions options;
  options.v = 64;
  const Hyperparameters fused = MustRead(options);
  options.split_kv_b = true;
  const Hyperparameters split = MustRead(options);
  EXPECT_FALSE(fused.has_split_kv_b);
  EXPECT_TRUE(split.has_split_kv_b);
  for (const Hyperparameters& shape : {fused, split}) {
    EXPECT_EQ(shape.qk_nope_head_dim, 32);
    EXPECT_EQ(shape.qk_head_dim(), 64);
    EXPECT_EQ(shape.v_head_dim, 64);
  }
}

TEST(Hyperparameters, SplitMayBeFlat) {
  TinyModelOptions options;
  options.split_kv_b = true;
  GgufWriter writer = TinyModel(options);
  for (int layer = 0; layer < 3; ++layer) {
    const std::string block = "blk." + std::to_string(layer);
    writer.FindTensor(block + ".attn_k_b.weight")->shape = {32, 64 * 4};
    writer.FindTensor(block + ".attn_v_b.weight")->shape = {64, 32 * 4};
  }
  EXPECT_TRUE(MustRead(writer).has_split_kv_b);
}

TEST(Hyperparameters, FusedIsTakenWhereAFileHasBothForms) {
  GgufWriter writer = TinyModel({});
  for (int layer = 0; layer < 3; ++layer) {
    const std::string block = "blk." + std::to_string(layer);
    writer.AddTensor(block + ".attn_k_b.weight", TensorType::kF32, {32, 256},
                     std::vector<std::byte>(32 * 256 * 4));
    writer.AddTensor(block + ".attn_v_b.weight", TensorType::kF32, {64, 128},
                     std::vector<std::byte>(64 * 128 * 4));
  }
  EXPECT_FALSE(MustRead(writer).has_split_kv_b);
}

TEST(Hyperparameters, HeadCountKvMayBe1OrMissing) {
  GgufWriter writer = TinyModel({});
  writer.SetUint32("deepseek2.attention.head_count_kv", 1);
  EXPECT_EQ(MustRead(writer).num_attention_heads, 4);
  writer.Remove("deepseek2.attention.head_count_kv");
  EXPECT_EQ(MustRead(writer).num_attention_heads, 4);
}

TEST(Hyperparameters, QueriesMayBeUncompressed) {
  GgufWriter writer = TinyModel({.q_lora = 0});
  EXPECT_EQ(MustRead(writer).q_lora_rank, 0);
  writer.SetUint32("deepseek2.attention.q_lora_rank", 0);
  EXPECT_EQ(MustRead(writer).q_lora_rank, 0);
}

TEST(Hyperparameters, OutputMayBeTied) {
  EXPECT_TRUE(MustRead({.tied_output = true}).tied_embeddings);
}

TEST(Hyperparameters, ScoringDefaultsToWhatTheTensorsShow) {
  TinyModelOptions options;
  options.gating = -1;
  GgufWriter with_bias = TinyModel(options);
  with_bias.Remove("deepseek2.expert_weights_norm");
  with_bias.Remove("deepseek2.expert_weights_scale");
  const Hyperparameters sigmoid = MustRead(with_bias);
  EXPECT_EQ(sigmoid.scoring_func, ScoringFunc::kSigmoid);
  EXPECT_TRUE(sigmoid.norm_topk_prob);
  EXPECT_EQ(sigmoid.routed_scaling_factor, 1);

  options.router_bias = false;
  GgufWriter without_bias = TinyModel(options);
  without_bias.Remove("deepseek2.expert_weights_norm");
  const Hyperparameters softmax = MustRead(without_bias);
  EXPECT_EQ(softmax.scoring_func, ScoringFunc::kSoftmax);
  EXPECT_FALSE(softmax.norm_topk_prob);
}

TEST(Hyperparameters, ScoringIsWhatTheMetadataSays) {
  TinyModelOptions options;
  options.gating = 1;
  options.weights_norm = true;
  options.weights_scale = 0;  // written by some converters for "none"
  const Hyperparameters softmax = MustRead(options);
  EXPECT_EQ(softmax.scoring_func, ScoringFunc::kSoftmax);
  EXPECT_TRUE(softmax.norm_topk_prob);
  EXPECT_EQ(softmax.routed_scaling_factor, 1);
  options.gating = 2;
  options.router_bias = false;
  options.weights_norm = false;
  const Hyperparameters sigmoid = MustRead(options);
  EXPECT_EQ(sigmoid.scoring_func, ScoringFunc::kSigmoid);
  EXPECT_FALSE(sigmoid.norm_topk_prob);
}

TEST(Hyperparameters, GroupsOf0Or1AreOneGroup) {
  GgufWriter writer = TinyModel({});
  for (const uint32_t groups : {0u, 1u}) {
    writer.SetUint32("deepseek2.expert_group_count", groups);
    writer.SetUint32("deepseek2.expert_group_used_count", groups);
    const Hyperparameters shape = MustRead(writer);
    EXPECT_EQ(shape.n_group, 1);
    EXPECT_EQ(shape.topk_group, 1);
  }
}

TEST(Hyperparameters, SharedExpertsMayBeSeveralOrNone) {
  EXPECT_EQ(MustRead({.shared_experts = 2}).n_shared_experts, 2);
  TinyModelOptions none;
  none.shared_experts = 0;
  GgufWriter writer = TinyModel(none);
  EXPECT_EQ(MustRead(writer).n_shared_experts, 0);
  writer.Remove("deepseek2.expert_shared_count");
  EXPECT_EQ(MustRead(writer).n_shared_experts, 0);
}

TEST(Hyperparameters, LayersMayAllBeDenseOrAllHaveExperts) {
  const Hyperparameters without_experts = MustRead({.experts = 0});
  EXPECT_EQ(without_experts.n_routed_experts, 0);
  EXPECT_EQ(without_experts.first_k_dense_replace, 3);
  const Hyperparameters all_dense = MustRead({.dense_layers = 3});
  EXPECT_EQ(all_dense.n_routed_experts, 0);
  GgufWriter all_experts = TinyModel({.dense_layers = 0});
  all_experts.Remove("deepseek2.feed_forward_length");
  all_experts.Remove("deepseek2.leading_dense_block_count");
  EXPECT_EQ(MustRead(all_experts).first_k_dense_replace, 0);
}

TEST(Hyperparameters, YarnDefaults) {
  GgufWriter writer = TinyModel({.yarn_factor = 4});
  writer.Remove("deepseek2.rope.scaling.yarn_log_multiplier");
  writer.Remove("deepseek2.rope.scaling.original_context_length");
  const RopeParameters rope = MustRead(writer).rope;
  EXPECT_EQ(rope.factor, 4);
  EXPECT_EQ(rope.log_multiplier, 0);
  EXPECT_EQ(rope.original_max_position_embeddings, 512);
}

TEST(Hyperparameters, YarnBetasAndNeutralFactorsAreRead) {
  GgufWriter writer = TinyModel({.yarn_factor = 4});
  writer.SetFloat32("deepseek2.rope.scaling.yarn_beta_fast", 48);
  writer.SetFloat32("deepseek2.rope.scaling.yarn_beta_slow", 2);
  writer.SetFloat32("deepseek2.rope.scaling.yarn_attn_factor", 1);
  const RopeParameters rope = MustRead(writer).rope;
  EXPECT_EQ(rope.beta_fast, 48);
  EXPECT_EQ(rope.beta_slow, 2);
}

TEST(Hyperparameters, ScalingOfTypeNoneIsNone) {
  GgufWriter writer = TinyModel({.yarn_factor = 4});
  writer.SetString("deepseek2.rope.scaling.type", "none");
  EXPECT_EQ(MustRead(writer).rope.factor, 1);
}

TEST(Hyperparameters, VocabularySizeComesFromTheEmbeddingWhereMissing) {
  GgufWriter writer = TinyModel({});
  writer.Remove("deepseek2.vocab_size");
  EXPECT_EQ(MustRead(writer).vocab_size, 320);
}

TEST(Hyperparameters, LayersForMultiTokenPredictionAreLeftOut) {
  const Hyperparameters shape = MustRead({.nextn_layers = 1});
  EXPECT_EQ(shape.num_hidden_layers, 3);
}

TEST(Hyperparameters, VectorsMayBeHalves) {
  GgufWriter writer = TinyModel({});
  writer.FindTensor("output_norm.weight")->type =
      static_cast<uint32_t>(TensorType::kF16);
  writer.FindTensor("blk.1.exp_probs_b.bias")->type =
      static_cast<uint32_t>(TensorType::kBF16);
  EXPECT_EQ(MustRead(writer).vocab_size, 320);
}

/// Header of a model with real sizes: entries without data.
GgufWriter LargeModel(const TinyModelOptions& small, int64_t heads,
                      int64_t experts) {
  GgufWriter writer = TinyModel(small);
  writer.SetUint32("deepseek2.attention.head_count",
                   static_cast<uint32_t>(heads));
  writer.SetUint32("deepseek2.attention.head_count_kv", 1);
  writer.SetUint32("deepseek2.expert_count", static_cast<uint32_t>(experts));
  const uint64_t h = heads, e = experts;
  uint64_t offset = 0;
  for (GgufWriter::Tensor& tensor : writer.tensors) {
    const std::string name = tensor.name.substr(
        tensor.name.rfind("blk") == 0 ? tensor.name.find('.', 4) + 1 : 0);
    std::vector<uint64_t>& shape = tensor.shape;
    if (name == "attn_q_b.weight") shape[1] = h * 64;
    if (name == "attn_k_b.weight" || name == "attn_v_b.weight") shape[2] = h;
    if (name == "attn_output.weight") shape[0] = h * 32;
    if (name == "ffn_gate_inp.weight") shape[1] = e;
    if (name == "exp_probs_b.bias") shape[0] = e;
    if (name.ends_with("_exps.weight")) shape[2] = e;
    tensor.offset = offset;
    offset += uint64_t{1} << 32;
  }
  return writer;
}

TEST(Hyperparameters, KimiK2HasManyExpertsInOneGroup) {
  TinyModelOptions options;
  options.split_kv_b = true;
  options.groups = 1;
  options.groups_used = 1;
  options.yarn_factor = 32;
  options.weights_scale = 2.827f;
  const Hyperparameters shape = MustRead(LargeModel(options, 64, 384));
  EXPECT_EQ(shape.num_attention_heads, 64);
  EXPECT_EQ(shape.n_routed_experts, 384);
  EXPECT_EQ(shape.n_group, 1);
}

}  // namespace
}  // namespace mlad
