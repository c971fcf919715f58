#include "bench/synth_model.h"

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

class TensorList {
 public:
  TensorList(const SynthShape& shape, const SynthTypes& types, bool split_kv_b)
      : s_(shape), types_(types), split_kv_b_(split_kv_b) {}

  std::vector<SynthTensor> Make() {
    Matrix("token_embd", types_.embedding, {s_.hidden, s_.vocab});
    Norm("output_norm", s_.hidden);
    Matrix("output", types_.output, {s_.hidden, s_.vocab});
    for (int64_t layer = 0; layer < s_.layers; ++layer) {
      block_ = absl::StrCat("blk.", layer, ".");
      AddAttention();
      if (layer < s_.dense_layers) {
        AddSwiGlu("", s_.ffn);
      } else {
        AddExperts();
      }
    }
    return std::move(tensors_);
  }

 private:
  void Add(const std::string& name, TensorType type,
           const std::vector<int64_t>& shape,
           const SynthDistribution& distribution) {
    tensors_.push_back(
        {name, type, {shape.begin(), shape.end()}, distribution});
  }
  void Matrix(const std::string& name, TensorType type,
              const std::vector<int64_t>& shape) {
    Add(absl::StrCat(block_, name, ".weight"), type, shape, {});
  }
  void Norm(const std::string& name, int64_t n) {
    Add(absl::StrCat(block_, name, ".weight"), TensorType::kF32, {n},
        {1, 0.1f});
  }

  void AddAttention() {
    const TensorType type = types_.matrices;
    Norm("attn_norm", s_.hidden);
    const int64_t q_rows = s_.heads * (s_.nope + s_.rope);
    if (s_.q_lora > 0) {
      Matrix("attn_q_a", type, {s_.hidden, s_.q_lora});
      Norm("attn_q_a_norm", s_.q_lora);
      Matrix("attn_q_b", type, {s_.q_lora, q_rows});
    } else {
      Matrix("attn_q", type, {s_.hidden, q_rows});
    }
    Matrix("attn_kv_a_mqa", type, {s_.hidden, s_.kv_lora + s_.rope});
    Norm("attn_kv_a_norm", s_.kv_lora);
    if (split_kv_b_) {
      Matrix("attn_k_b", type, {s_.nope, s_.kv_lora, s_.heads});
      Matrix("attn_v_b", type, {s_.kv_lora, s_.v, s_.heads});
    } else {
      Matrix("attn_kv_b", type, {s_.kv_lora, s_.heads * (s_.nope + s_.v)});
    }
    Matrix("attn_output", type, {s_.heads * s_.v, s_.hidden});
    Norm("ffn_norm", s_.hidden);
  }

  void AddSwiGlu(const std::string& suffix, int64_t ffn) {
    Matrix("ffn_gate" + suffix, types_.matrices, {s_.hidden, ffn});
    Matrix("ffn_up" + suffix, types_.matrices, {s_.hidden, ffn});
    Matrix("ffn_down" + suffix, types_.matrices, {ffn, s_.hidden});
  }

  void AddExperts() {
    Matrix("ffn_gate_inp", TensorType::kF32, {s_.hidden, s_.experts});
    if (s_.sigmoid) {
      Add(block_ + "exp_probs_b.bias", TensorType::kF32, {s_.experts},
          {0, 0.05f});
    }
    const TensorType type = types_.matrices;
    Matrix("ffn_gate_exps", type, {s_.hidden, s_.expert_ffn, s_.experts});
    Matrix("ffn_up_exps", type, {s_.hidden, s_.expert_ffn, s_.experts});
    Matrix("ffn_down_exps", type, {s_.expert_ffn, s_.hidden, s_.experts});
    AddSwiGlu("_shexp", s_.expert_ffn * s_.shared_experts);
  }

  const SynthShape& s_;
  const SynthTypes& types_;
  bool split_kv_b_;
  std::string block_;
  std::vector<SynthTensor> tensors_;
};

/// Spelling of each byte in byte-level BPE: itself where it is printable, else
/// a letter from U+0100 on.
std::vector<std::string> ByteSpellings() {
  std::vector<std::string> spellings;
  uint32_t extra = 0x100;
  for (uint32_t b = 0; b < 256; ++b) {
    const bool printable = (b > 32 && b < 127) || (b > 160 && b != 173);
    const uint32_t code = printable ? b : extra++;
    std::string text;
    if (code < 0x80) {
      text = static_cast<char>(code);
    } else {
      text = {static_cast<char>(0xC0 | (code >> 6)),
              static_cast<char>(0x80 | (code & 0x3F))};
    }
    spellings.push_back(text);
  }
  return spellings;
}

void AddVocabulary(const SynthShape& shape, GgufWriter& writer) {
  constexpr int32_t kNormal = 1, kControl = 3;
  std::vector<std::string> tokens = ByteSpellings();
  std::vector<std::string> merges;
  for (const char a : std::string("etaoinshrdlu")) {
    for (const char b : std::string("etaoinshrdlu")) {
      tokens.push_back({a, b});
      merges.push_back({a, ' ', b});
    }
  }
  while (static_cast<int64_t>(tokens.size()) < shape.vocab - 2) {
    tokens.push_back(absl::StrCat("[w", tokens.size(), "]"));
  }
  std::vector<int32_t> types(tokens.size(), kNormal);
  for (const char* text :
       {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"}) {
    tokens.emplace_back(text);
    types.push_back(kControl);
  }
  const uint32_t bos = static_cast<uint32_t>(tokens.size()) - 2;
  writer.SetString("tokenizer.ggml.model", "gpt2");
  writer.SetString("tokenizer.ggml.pre", "deepseek-v3");
  writer.SetStrings("tokenizer.ggml.tokens", tokens);
  writer.SetInt32s("tokenizer.ggml.token_type", types);
  writer.SetStrings("tokenizer.ggml.merges", merges);
  writer.SetUint32("tokenizer.ggml.bos_token_id", bos);
  writer.SetUint32("tokenizer.ggml.eos_token_id", bos + 1);
  writer.SetUint32("tokenizer.ggml.padding_token_id", bos + 1);
  writer.SetBool("tokenizer.ggml.add_bos_token", true);
  writer.SetBool("tokenizer.ggml.add_eos_token", false);
}

class MetadataKeys {
 public:
  explicit MetadataKeys(GgufWriter& writer) : writer_(writer) {}
  void Int(const std::string& key, int64_t value) {
    writer_.SetUint32("deepseek2." + key, static_cast<uint32_t>(value));
  }
  void Float(const std::string& key, double value) {
    writer_.SetFloat32("deepseek2." + key, static_cast<float>(value));
  }
  void Bool(const std::string& key, bool value) {
    writer_.SetBool("deepseek2." + key, value);
  }

 private:
  GgufWriter& writer_;
};

void AddHeadSizes(const SynthShape& s, bool split_kv_b, MetadataKeys& keys) {
  keys.Int("attention.head_count", s.heads);
  keys.Int("attention.head_count_kv", split_kv_b ? 1 : s.heads);
  keys.Int("attention.kv_lora_rank", s.kv_lora);
  keys.Int("attention.key_length",
           split_kv_b ? s.kv_lora + s.rope : s.nope + s.rope);
  keys.Int("attention.value_length", split_kv_b ? s.kv_lora : s.v);
  if (split_kv_b) {
    keys.Int("attention.key_length_mla", s.nope + s.rope);
    keys.Int("attention.value_length_mla", s.v);
  }
  // Some loaders take models of 26 or 27 layers for V2-Lite and want no key.
  if (s.q_lora > 0 || (s.layers != 26 && s.layers != 27)) {
    keys.Int("attention.q_lora_rank", s.q_lora);
  }
  keys.Float("attention.layer_norm_rms_epsilon", 1e-6);
}

}  // namespace

int64_t SynthTensor::bytes() const {
  int64_t elements = 1;
  for (const uint64_t n : shape) elements *= static_cast<int64_t>(n);
  return TensorRowBytes(type, elements);
}

absl::StatusOr<std::vector<SynthTensor>> SynthTensors(const SynthShape& shape,
                                                      const SynthTypes& types,
                                                      bool split_kv_b) {
  std::vector<SynthTensor> tensors =
      TensorList(shape, types, split_kv_b).Make();
  for (SynthTensor& tensor : tensors) {
    const auto row = static_cast<int64_t>(tensor.shape[0]);
    const auto fits = [&](TensorType type) {
      return row % GetTensorType(type).block_elements == 0;
    };
    if (!fits(tensor.type)) tensor.type = TensorType::kQ8_0;
    if (!fits(tensor.type)) {
      const TensorTypeInfo& info = GetTensorType(tensor.type);
      return absl::InvalidArgumentError(absl::StrCat(
          tensor.name, " has rows of ", tensor.shape[0], " numbers, but ",
          std::string(info.name), " needs a multiple of ", info.block_elements,
          "; choose another type"));
    }
  }
  return tensors;
}

void AddSynthMetadata(const SynthShape& s, bool split_kv_b,
                      GgufWriter& writer) {
  writer.SetString("general.architecture", "deepseek2");
  writer.SetString("general.name", s.name);
  writer.SetString("general.type", "model");
  writer.SetUint32("general.quantization_version", 2);
  MetadataKeys keys(writer);
  keys.Int("vocab_size", s.vocab);
  keys.Int("context_length", s.context);
  keys.Int("embedding_length", s.hidden);
  keys.Int("block_count", s.layers);
  keys.Int("feed_forward_length", s.ffn);
  keys.Int("leading_dense_block_count", s.dense_layers);
  AddHeadSizes(s, split_kv_b, keys);
  keys.Int("rope.dimension_count", s.rope);
  keys.Float("rope.freq_base", s.rope_theta);
  writer.SetString("deepseek2.rope.scaling.type", "yarn");
  keys.Float("rope.scaling.factor", s.yarn_factor);
  keys.Int("rope.scaling.original_context_length", 4096);
  keys.Float("rope.scaling.yarn_log_multiplier", 0.1 * s.mscale_all_dim);
  keys.Int("expert_count", s.experts);
  keys.Int("expert_used_count", s.experts_used);
  keys.Int("expert_shared_count", s.shared_experts);
  keys.Int("expert_feed_forward_length", s.expert_ffn);
  keys.Float("expert_weights_scale", s.weights_scale);
  keys.Bool("expert_weights_norm", s.sigmoid);
  keys.Int("expert_gating_func", s.sigmoid ? 2 : 1);
  if (s.groups > 0) {
    keys.Int("expert_group_count", s.groups);
    keys.Int("expert_group_used_count", s.groups_used);
  }
  AddVocabulary(s, writer);
}

}  // namespace mlad
