#include "tests/model/tiny_model.h"

#include <cmath>

#include "tests/model/test_file.h"

namespace mlad {
namespace {

/// Numbers of [-1, 1) that depend on the seed and the name only.
class Values {
 public:
  Values(uint64_t seed, std::string_view name) : state_(seed) {
    for (const char c : name) {
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    }
  }

  float Next() {  // splitmix64
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return static_cast<float>(z >> 40) * 0x1p-23f - 1;
  }

 private:
  uint64_t state_;
};

class TinyModelBuilder {
 public:
  explicit TinyModelBuilder(const TinyModelOptions& options) : o_(options) {}

  GgufWriter Build() {
    AddGeneral();
    AddSizes();
    AddHeadSizes();
    if (o_.experts > 0) AddExpertKeys();
    if (o_.yarn_factor > 0) AddYarn();
    AddTokenizer();
    Matrix("token_embd.weight", o_.hidden, o_.vocab);
    Norm("output_norm.weight", o_.hidden);
    if (!o_.tied_output) Matrix("output.weight", o_.hidden, o_.vocab);
    for (int64_t layer = 0; layer < o_.layers + o_.nextn_layers; ++layer) {
      block_ = "blk." + std::to_string(layer) + ".";
      AddLayer(layer);
    }
    return writer_;
  }

 private:
  void Uint32(const std::string& key, int64_t value) {
    writer_.SetUint32("deepseek2." + key, static_cast<uint32_t>(value));
  }
  void Float32(const std::string& key, float value) {
    writer_.SetFloat32("deepseek2." + key, value);
  }

  void AddGeneral() {
    writer_.SetString("general.architecture", "deepseek2");
    writer_.SetString("general.type", "model");
    writer_.SetString("general.name", o_.name);
  }

  void AddSizes() {
    Uint32("vocab_size", o_.vocab);
    Uint32("context_length", o_.context);
    Uint32("embedding_length", o_.hidden);
    Uint32("block_count", o_.layers + o_.nextn_layers);
    if (o_.nextn_layers > 0) Uint32("nextn_predict_layers", o_.nextn_layers);
    Uint32("feed_forward_length", o_.ffn);
    Uint32("leading_dense_block_count", o_.dense_layers);
    Float32("attention.layer_norm_rms_epsilon", 1e-6f);
    Float32("rope.freq_base", 10000);
  }

  void AddHeadSizes() {
    const bool split = o_.split_kv_b;
    Uint32("attention.head_count", o_.heads);
    Uint32("attention.head_count_kv", split ? 1 : o_.heads);
    if (o_.q_lora > 0) Uint32("attention.q_lora_rank", o_.q_lora);
    Uint32("attention.kv_lora_rank", o_.kv_lora);
    Uint32("attention.key_length", (split ? o_.kv_lora : o_.nope) + o_.rope);
    Uint32("attention.value_length", split ? o_.kv_lora : o_.v);
    Uint32("rope.dimension_count", o_.rope);
    if (!split) return;
    Uint32("attention.key_length_mla", o_.nope + o_.rope);
    Uint32("attention.value_length_mla", o_.v);
  }

  void AddExpertKeys() {
    Uint32("expert_count", o_.experts);
    Uint32("expert_used_count", o_.experts_used);
    Uint32("expert_shared_count", o_.shared_experts);
    Uint32("expert_feed_forward_length", o_.expert_ffn);
    Float32("expert_weights_scale", o_.weights_scale);
    writer_.SetBool("deepseek2.expert_weights_norm", o_.weights_norm);
    if (o_.gating >= 0) Uint32("expert_gating_func", o_.gating);
    if (o_.groups == 0) return;
    Uint32("expert_group_count", o_.groups);
    Uint32("expert_group_used_count", o_.groups_used);
  }

  void AddYarn() {
    writer_.SetString("deepseek2.rope.scaling.type", "yarn");
    Float32("rope.scaling.factor", o_.yarn_factor);
    Uint32("rope.scaling.original_context_length", o_.yarn_original_context);
    Float32("rope.scaling.yarn_log_multiplier", o_.yarn_log_multiplier);
  }

  void AddTokenizer() {
    const TinyVocabulary vocabulary = MakeTinyVocabulary(o_.vocab);
    writer_.SetString("tokenizer.ggml.model", "gpt2");
    writer_.SetString("tokenizer.ggml.pre", "deepseek-v3");
    writer_.SetStrings("tokenizer.ggml.tokens", vocabulary.tokens);
    writer_.SetInt32s("tokenizer.ggml.token_type", vocabulary.types);
    writer_.SetStrings("tokenizer.ggml.merges", vocabulary.merges);
    writer_.SetUint32("tokenizer.ggml.bos_token_id",
                      static_cast<uint32_t>(vocabulary.bos));
    writer_.SetUint32("tokenizer.ggml.eos_token_id",
                      static_cast<uint32_t>(vocabulary.eos));
    writer_.SetBool("tokenizer.ggml.add_bos_token", true);
    writer_.SetBool("tokenizer.ggml.add_eos_token", false);
  }

  void Add(const std::string& name, TensorType type,
           const std::vector<int64_t>& shape,
           const std::vector<float>& values) {
    writer_.AddTensor(block_ + name, type, {shape.begin(), shape.end()},
                      EncodeTestTensor(type, values));
  }

  /// center +- radius
  std::vector<float> Random(const std::string& name, int64_t count,
                            float center, float radius) const {
    Values values(o_.seed, block_ + name);
    std::vector<float> result(count);
    for (float& v : result) v = center + radius * values.Next();
    return result;
  }

  /// Matrices keep the variance of what they are applied to.
  static float Radius(int64_t cols) {
    return std::sqrt(3.0f / static_cast<float>(cols));
  }

  void Matrix(const std::string& name, int64_t cols, int64_t rows,
              int64_t experts = 1) {
    std::vector<int64_t> shape = {cols, rows};
    if (experts > 1) shape.push_back(experts);
    Add(name, o_.type, shape,
        Random(name, cols * rows * experts, 0, Radius(cols)));
  }

  void Norm(const std::string& name, int64_t n) {
    Add(name, TensorType::kF32, {n}, Random(name, n, 1, 0.2f));
  }

  void AddLayer(int64_t layer) {
    AddAttention();
    Norm("ffn_norm.weight", o_.hidden);
    if (layer < o_.dense_layers || o_.experts == 0) {
      AddSwiGlu("", o_.ffn);
    } else {
      AddExperts();
    }
    if (layer < o_.layers) return;
    Norm("nextn.enorm.weight", o_.hidden);
    Norm("nextn.hnorm.weight", o_.hidden);
    Matrix("nextn.eh_proj.weight", 2 * o_.hidden, o_.hidden);
  }

  void AddAttention() {
    const int64_t query_rows = o_.heads * (o_.nope + o_.rope);
    Norm("attn_norm.weight", o_.hidden);
    if (o_.q_lora > 0) {
      Matrix("attn_q_a.weight", o_.hidden, o_.q_lora);
      Norm("attn_q_a_norm.weight", o_.q_lora);
      Matrix("attn_q_b.weight", o_.q_lora, query_rows);
    } else {
      Matrix("attn_q.weight", o_.hidden, query_rows);
    }
    Matrix("attn_kv_a_mqa.weight", o_.hidden, o_.kv_lora + o_.rope);
    Norm("attn_kv_a_norm.weight", o_.kv_lora);
    if (o_.split_kv_b) {
      AddSplitKvB();
    } else {
      Matrix("attn_kv_b.weight", o_.kv_lora, o_.heads * (o_.nope + o_.v));
    }
    Matrix("attn_output.weight", o_.heads * o_.v, o_.hidden);
  }

  /// The values of attn_kv_b: keys [kv_lora, nope, heads] transposed per head,
  /// then values as they are.
  void AddSplitKvB() {
    const int64_t lora = o_.kv_lora, nope = o_.nope, v = o_.v;
    const std::vector<float> fused = Random(
        "attn_kv_b.weight", lora * o_.heads * (nope + v), 0, Radius(lora));
    std::vector<float> keys(lora * o_.heads * nope), values;
    for (int64_t h = 0; h < o_.heads; ++h) {
      const float* head = fused.data() + h * (nope + v) * lora;
      for (int64_t n = 0; n < nope; ++n) {
        for (int64_t c = 0; c < lora; ++c) {
          keys[(h * lora + c) * nope + n] = head[n * lora + c];
        }
      }
      values.insert(values.end(), head + nope * lora, head + (nope + v) * lora);
    }
    Add("attn_k_b.weight", o_.type, {nope, lora, o_.heads}, keys);
    Add("attn_v_b.weight", o_.type, {lora, v, o_.heads}, values);
  }

  void AddSwiGlu(const std::string& suffix, int64_t width) {
    Matrix("ffn_gate" + suffix + ".weight", o_.hidden, width);
    Matrix("ffn_up" + suffix + ".weight", o_.hidden, width);
    Matrix("ffn_down" + suffix + ".weight", width, o_.hidden);
  }

  void AddExperts() {
    const std::string router = "ffn_gate_inp.weight";
    Add(router, TensorType::kF32, {o_.hidden, o_.experts},
        Random(router, o_.hidden * o_.experts, 0, Radius(o_.hidden)));
    if (o_.router_bias) {
      const std::string bias = "exp_probs_b.bias";
      Add(bias, TensorType::kF32, {o_.experts},
          Random(bias, o_.experts, 0, 0.1f));
    }
    Matrix("ffn_gate_exps.weight", o_.hidden, o_.expert_ffn, o_.experts);
    Matrix("ffn_up_exps.weight", o_.hidden, o_.expert_ffn, o_.experts);
    Matrix("ffn_down_exps.weight", o_.expert_ffn, o_.hidden, o_.experts);
    if (o_.shared_experts > 0) {
      AddSwiGlu("_shexp", o_.shared_experts * o_.expert_ffn);
    }
  }

  const TinyModelOptions& o_;
  GgufWriter writer_;
  std::string block_;  // "blk.N." while a layer is built
};

}  // namespace

GgufWriter TinyModel(const TinyModelOptions& options) {
  return TinyModelBuilder(options).Build();
}

std::vector<std::byte> TinyModelBytes(const TinyModelOptions& options) {
  return TinyModel(options).Build();
}

std::string TinyModelFile(const std::string& file_name,
                          const TinyModelOptions& options) {
  return WriteTestFile(file_name, TinyModelBytes(options));
}

}  // namespace mlad
