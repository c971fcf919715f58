// Models that are refused, and the sentence each gets.
#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/tiny_model.h"

#include "model/gguf_writer.h"
#include "model/hyperparameters.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

struct BadModel {
  std::string name;
  std::function<void(GgufWriter&)> spoil;
  absl::StatusCode code;
  std::string message;  // part of it
  TinyModelOptions options = {};
};

class Refused : public ::testing::TestWithParam<BadModel> {};

TEST_P(Refused, GetsOneSentence) {
  GgufWriter writer = TinyModel(GetParam().options);
  GetParam().spoil(writer);
  const std::vector<std::byte> header = writer.BuildHeader();
  const auto file = GgufFile::Parse(header, {.header_only = true});
  ASSERT_TRUE(file.ok()) << file.status();
  const absl::Status status = ReadHyperparameters(**file).status();
  EXPECT_EQ(status.code(), GetParam().code) << status;
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(GetParam().message));
  EXPECT_THAT(message, HasSubstr("; "));  // the remedy follows
}

using Spoil = std::function<void(GgufWriter&)>;

Spoil Key(const std::string& key, uint32_t value) {
  return [=](GgufWriter& w) { w.SetUint32("deepseek2." + key, value); };
}
Spoil Float(const std::string& key, float value) {
  return [=](GgufWriter& w) { w.SetFloat32("deepseek2." + key, value); };
}
Spoil NoKey(const std::string& key) {
  return [=](GgufWriter& w) { w.Remove("deepseek2." + key); };
}
Spoil Text(const std::string& key, const std::string& value) {
  return [=](GgufWriter& w) { w.SetString(key, value); };
}
Spoil NoTensor(const std::string& name) {
  return [=](GgufWriter& w) { w.RemoveTensor(name); };
}
Spoil Shape(const std::string& name, const std::vector<uint64_t>& shape) {
  return [=](GgufWriter& w) {
    w.FindTensor(name)->shape = shape;
    w.FindTensor(name)->offset = uint64_t{1} << 40;
  };
}
Spoil Type(const std::string& name, TensorType type) {
  return [=](GgufWriter& w) {
    w.FindTensor(name)->type = static_cast<uint32_t>(type);
  };
}
Spoil Extra(const std::string& name) {
  return [=](GgufWriter& w) {
    w.AddTensor(name, TensorType::kF32, {1}, std::vector<std::byte>(4));
  };
}
std::string Missing(const std::string& key) {
  return "the metadata key 'deepseek2." + key + "' is missing";
}

const BadModel kGeneral[] = {
    {"NoArchitecture", [](GgufWriter& w) { w.Remove("general.architecture"); },
     kInvalid, "the metadata key 'general.architecture' is missing"},
    {"OtherArchitecture", Text("general.architecture", "llama"), kUnimplemented,
     "the model has the architecture 'llama' and mlad computes 'deepseek2'"},
    {"Adapter", Text("general.type", "adapter"), kUnimplemented,
     "the file holds a 'adapter' and not a model"},
    {"NoLayers", Key("block_count", 0), kInvalid,
     "the metadata key 'deepseek2.block_count' is 0, not from 1 to 1024"},
    {"TooManyLayers", Key("block_count", 4000000000), kInvalid,
     "'deepseek2.block_count' is 4000000000, not from 1 to 1024"},
    {"MoreLayersThanTensors", Key("block_count", 4), kInvalid,
     "the tensor 'blk.3.attn_norm.weight' is missing"},
    {"FewerLayersThanTensors", Key("block_count", 2), kUnimplemented,
     "the file has the tensor 'blk.2.attn_kv_a_mqa.weight', which mlad does "
     "not know how to use"},
    {"OnlyNextnLayers", Key("nextn_predict_layers", 3), kInvalid,
     "'deepseek2.nextn_predict_layers' is 3, not from 0 to 2"},
    {"NoContextLength", NoKey("context_length"), kInvalid,
     Missing("context_length")},
    {"NoHiddenSize", NoKey("embedding_length"), kInvalid,
     Missing("embedding_length")},
    {"NoEpsilon", NoKey("attention.layer_norm_rms_epsilon"), kInvalid,
     Missing("attention.layer_norm_rms_epsilon")},
    {"EpsilonOf0", Float("attention.layer_norm_rms_epsilon", 0), kInvalid,
     "'deepseek2.attention.layer_norm_rms_epsilon' is 0, not from"},
    {"VocabularyOtherThanTheEmbedding", Key("vocab_size", 321), kInvalid,
     "the tensor 'token_embd.weight' has the shape [64, 320] instead of [64, "
     "321]"},
    {"VocabularySmallerThanTheTokens", Key("vocab_size", 300), kInvalid,
     "'tokenizer.ggml.tokens' has 320 entries but the model has a vocabulary "
     "of 300"},
    {"SizeAsText", Text("deepseek2.block_count", "3"), kInvalid,
     "'deepseek2.block_count' is not an integer"},
};

TinyModelOptions Split() { return {.split_kv_b = true}; }

const BadModel kAttention[] = {
    {"NoHeads", Key("attention.head_count", 0), kInvalid,
     "'deepseek2.attention.head_count' is 0, not from 1 to 4096"},
    {"KvHeads", Key("attention.head_count_kv", 2), kInvalid,
     "'deepseek2.attention.head_count_kv' is 2, neither 1 nor the 4 heads"},
    {"NoKvRank", NoKey("attention.kv_lora_rank"), kInvalid,
     Missing("attention.kv_lora_rank")},
    {"OtherKvRank", Key("attention.kv_lora_rank", 96), kInvalid,
     "the tensor 'blk.0.attn_kv_a_mqa.weight' has the shape [64, 96] instead "
     "of [64, 128]"},
    {"NoKeyLength", NoKey("attention.key_length"), kInvalid,
     Missing("attention.key_length")},
    {"NoValueLengthMla", NoKey("attention.value_length_mla"), kInvalid,
     Missing("attention.value_length_mla"), Split()},
    {"LatentKeyLength", Key("attention.key_length", 64), kInvalid,
     "'deepseek2.attention.key_length' and 'value_length' are 64 and 64 beside "
     "the *_mla keys instead of 96 and 64",
     Split()},
    {"AllRotary", Key("rope.dimension_count", 64), kUnimplemented,
     "heads have 64 key elements, 64 of them rotary"},
    {"OddNope", Key("rope.dimension_count", 16), kUnimplemented,
     "a multiple of 32 others only"},
    {"NoRope", NoKey("rope.dimension_count"), kInvalid,
     Missing("rope.dimension_count")},
    {"BothQueryForms", NoKey("attention.q_lora_rank"), kInvalid,
     "the tensor 'blk.0.attn_q.weight' is missing"},
    {"QueryRankWithoutTensors",
     Key("attention.q_lora_rank", 32),
     kInvalid,
     "the tensor 'blk.0.attn_q_a.weight' is missing",
     {.q_lora = 0}},
    {"Temperature", Float("attention.temperature_scale", 0.1f), kUnimplemented,
     "'deepseek2.attention.temperature_scale' is 0.1, which mlad does not "
     "compute"},
    {"Softcap", Float("final_logit_softcapping", 30), kUnimplemented,
     "'deepseek2.final_logit_softcapping' is 30, which mlad does not compute"},
    {"LinearScaling", Text("deepseek2.rope.scaling.type", "linear"),
     kUnimplemented,
     "'deepseek2.rope.scaling.type' is 'linear' and mlad computes 'yarn'"},
    {"YarnWithoutFactor", Text("deepseek2.rope.scaling.type", "yarn"), kInvalid,
     Missing("rope.scaling.factor")},
    {"YarnFactor",
     Float("rope.scaling.factor", -2),
     kInvalid,
     "'deepseek2.rope.scaling.factor' is -2, not from 1 to 1e+06",
     {.yarn_factor = 4}},
    {"YarnBetas",
     Float("rope.scaling.yarn_beta_slow", 40),
     kInvalid,
     "'deepseek2.rope.scaling.yarn_beta_fast' is 32, not above the beta_slow "
     "of 40",
     {.yarn_factor = 4}},
    {"YarnAttentionFactor",
     Float("rope.scaling.yarn_attn_factor", 1.5f),
     kUnimplemented,
     "yarn_attn_factor' is 1.5, which mlad does not compute",
     {.yarn_factor = 4}},
};

TinyModelOptions Groups() { return {.groups = 4, .groups_used = 2}; }

const BadModel kExperts[] = {
    {"NoUsedCount", NoKey("expert_used_count"), kInvalid,
     Missing("expert_used_count")},
    {"MoreUsedThanThereAre", Key("expert_used_count", 9), kInvalid,
     "'deepseek2.expert_used_count' is 9, not from 1 to 8"},
    {"NoWidth", NoKey("expert_feed_forward_length"), kInvalid,
     Missing("expert_feed_forward_length")},
    {"NoDenseWidth", NoKey("feed_forward_length"), kInvalid,
     Missing("feed_forward_length")},
    {"DenseBeyondTheLayers", Key("leading_dense_block_count", 4), kInvalid,
     "'deepseek2.leading_dense_block_count' is 4, not from 0 to 3"},
    {"DenseLayersNotDense", Key("leading_dense_block_count", 2), kInvalid,
     "the tensor 'blk.1.ffn_gate.weight' is missing"},
    {"UnknownGating", Key("expert_gating_func", 3), kUnimplemented,
     "'deepseek2.expert_gating_func' is 3 and mlad computes 1 (softmax) and 2"},
    {"NegativeScale", Float("expert_weights_scale", -1), kInvalid,
     "'deepseek2.expert_weights_scale' is -1, not from 0"},
    {"NormAsNumber", Key("expert_weights_norm", 1), kInvalid,
     "'deepseek2.expert_weights_norm' is not a boolean"},
    {"GroupsDoNotDivide", Key("expert_group_count", 3), kInvalid,
     "'deepseek2.expert_group_count' is 3, which does not divide the 8",
     Groups()},
    {"NoGroupsUsed", NoKey("expert_group_used_count"), kInvalid,
     Missing("expert_group_used_count"), Groups()},
    {"MoreGroupsUsedThanThereAre", Key("expert_group_used_count", 5), kInvalid,
     "'deepseek2.expert_group_used_count' is 5, not from 1 to 4", Groups()},
    {"GroupsTooSmall", Key("expert_used_count", 5), kInvalid,
     "'deepseek2.expert_used_count' is 5, more than the 2 groups chosen have",
     Groups()},
    {"SharedWidth", Key("expert_shared_count", 2), kInvalid,
     "the tensor 'blk.1.ffn_gate_shexp.weight' has the shape [64, 32] instead "
     "of [64, 64]"},
    {"SomeBiases", NoTensor("blk.2.exp_probs_b.bias"), kInvalid,
     "the tensor 'blk.2.exp_probs_b.bias' is missing"},
};

const BadModel kTensors[] = {
    {"NoTensors", [](GgufWriter& w) { w.tensors.clear(); }, kInvalid,
     "the tensor 'token_embd.weight' is missing"},
    {"NoRouter", NoTensor("blk.2.ffn_gate_inp.weight"), kInvalid,
     "the tensor 'blk.2.ffn_gate_inp.weight' is missing"},
    {"NoKvB", NoTensor("blk.0.attn_kv_b.weight"), kInvalid,
     "the tensor 'blk.0.attn_kv_b.weight' is missing"},
    {"MixedKvB", NoTensor("blk.1.attn_v_b.weight"), kInvalid,
     "the tensor 'blk.1.attn_v_b.weight' is missing", Split()},
    {"Transposed", Shape("blk.0.attn_output.weight", {64, 128}), kInvalid,
     "'blk.0.attn_output.weight' has the shape [64, 128] instead of [128, 64]"},
    {"ExpertsFlat", Shape("blk.1.ffn_up_exps.weight", {64, 256}), kInvalid,
     "'blk.1.ffn_up_exps.weight' has the shape [64, 256] instead of [64, 32, "
     "8]"},
    {"QuantisedNorm", Type("blk.1.attn_norm.weight", TensorType::kQ8_0),
     kUnimplemented,
     "'blk.1.attn_norm.weight' has the type Q8_0 and mlad reads norms"},
    {"Bias", Extra("blk.0.attn_q_b.bias"), kUnimplemented,
     "the file has the tensor 'blk.0.attn_q_b.bias', which mlad does not know"},
    {"RopeFactors", Extra("rope_freqs.weight"), kUnimplemented,
     "the file has the tensor 'rope_freqs.weight', which mlad does not know"},
    {"LayerBeyondTheLast", Extra("blk.7.attn_norm.weight"), kUnimplemented,
     "the file has the tensor 'blk.7.attn_norm.weight', which mlad does not"},
    {"OddColumns",
     [](GgufWriter&) {},
     kUnimplemented,
     "the tensor 'blk.0.ffn_down.weight' has rows of 80 elements and mlad "
     "computes with multiples of 32 only",
     {.ffn = 80}},
};

std::string CaseName(const ::testing::TestParamInfo<BadModel>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(General, Refused, ::testing::ValuesIn(kGeneral),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(Attention, Refused, ::testing::ValuesIn(kAttention),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(Experts, Refused, ::testing::ValuesIn(kExperts),
                         CaseName);
INSTANTIATE_TEST_SUITE_P(Tensors, Refused, ::testing::ValuesIn(kTensors),
                         CaseName);

}  // namespace
}  // namespace mlad
