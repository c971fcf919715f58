// Complete deepseek2 models of a few hundred kilobytes with random weights,
// in all the variants files come in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/gguf_writer.h"
#include "quant/tensor_type.h"

namespace mlad {

/// Values of weights depend on the seed and the tensor's name only: a fused and
/// a split file of float type, or two files that differ in metadata, compute
/// the same. The vocabulary is MakeTinyVocabulary(vocab).
struct TinyModelOptions {
  int64_t layers = 3;
  int64_t dense_layers = 1;  // leading_dense_block_count
  int64_t vocab = 320;       // at least 300
  int64_t hidden = 64;
  int64_t heads = 4;
  int64_t q_lora = 32;  // 0: one attn_q matrix
  int64_t kv_lora = 64;
  int64_t nope = 32;
  int64_t rope = 32;
  int64_t v = 32;
  int64_t ffn = 96;  // of the dense layers
  int64_t context = 512;

  int64_t experts = 8;  // 0: every layer is dense
  int64_t experts_used = 2;
  int64_t shared_experts = 1;
  int64_t expert_ffn = 32;
  int64_t groups = 0;  // 0: not in the metadata
  int64_t groups_used = 0;
  int gating = 2;  // expert_gating_func; -1: not in the metadata
  bool router_bias = true;
  bool weights_norm = true;
  float weights_scale = 2.5f;

  float yarn_factor = 0;  // 0: no rope.scaling keys
  int64_t yarn_original_context = 64;
  float yarn_log_multiplier = 0.1f;

  bool split_kv_b = false;  // attn_k_b + attn_v_b, *_mla keys, head_count_kv 1
  bool tied_output = false;
  /// Layers behind the others for multi-token prediction: they count in
  /// block_count and in nextn_predict_layers.
  int64_t nextn_layers = 0;

  /// Of all matrices but the router's; every row length must be a multiple of
  /// the type's block. Norms, biases and the router are F32.
  TensorType type = TensorType::kF32;
  uint64_t seed = 1;
  std::string name = "tiny";
};

/// The model before it is laid out, for tests that change something.
GgufWriter TinyModel(const TinyModelOptions& options);
/// The bytes of the file.
std::vector<std::byte> TinyModelBytes(const TinyModelOptions& options);
/// The file itself, in the test's temporary folder.
std::string TinyModelFile(const std::string& file_name,
                          const TinyModelOptions& options);

/// Ids of the vocabulary: byte b is token b; then merges of frequent letters;
/// BOS, EOS, User and Assistant markers are the last four ids; [w<id>] fills
/// the gap.
struct TinyVocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;  // 1 normal, 3 control
  std::vector<std::string> merges;
  int32_t bos = 0;
  int32_t eos = 0;
};
TinyVocabulary MakeTinyVocabulary(int64_t size);

/// Encodes floats as blocks of `type`. F32, F16, BF16 and Q8_0 are rounded;
/// of the other types only size and plausible magnitude are right: their codes
/// are pseudo-random, made from the values' bits.
std::vector<std::byte> EncodeTestTensor(TensorType type,
                                        const std::vector<float>& values);

}  // namespace mlad
