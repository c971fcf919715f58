#include "bench/model_work.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

#include "quant/tensor_type.h"

namespace mlad {
namespace {

bool IsFloat(TensorType type) {
  return type == TensorType::kF32 || type == TensorType::kF16 ||
         type == TensorType::kBF16;
}

/// The layer of a tensor called "blk.12.name"; -1 for the others.
int64_t LayerOf(const std::string& name) {
  const std::vector<std::string> parts = absl::StrSplit(name, '.');
  int64_t layer = -1;
  if (parts.size() < 2 || parts[0] != "blk" ||
      !absl::SimpleAtoi(parts[1], &layer)) {
    return -1;
  }
  return layer;
}

}  // namespace

ModelWork::ModelWork(const GgufFile& file, const Hyperparameters& shape,
                     KvType kv_type)
    : int8_cache_(kv_type == KvType::kQ8_0 || kv_type == KvType::kQ8KV) {
  const double experts_share =
      shape.n_routed_experts == 0
          ? 0
          : static_cast<double>(shape.num_experts_per_tok) /
                static_cast<double>(shape.n_routed_experts);
  for (const auto& [name, tensor] : file.tensors()) {
    if (tensor.shape.size() < 2) continue;
    const int64_t layer = LayerOf(name);
    if (layer >= 0 && layer < shape.num_hidden_layers) {
      AddMatrix(tensor, absl::StrContains(name, "_exps.") ? experts_share : 1,
                layers_);
    }
  }
  if (const GgufTensor* output = file.FindTensor(
          shape.tied_embeddings ? "token_embd.weight" : "output.weight")) {
    AddMatrix(*output, 1, output_);
  }
  const auto pairs =
      static_cast<double>(shape.num_attention_heads * shape.num_hidden_layers);
  expanded_ops_per_position_ =
      2 * pairs * static_cast<double>(shape.qk_head_dim() + shape.v_head_dim);
  absorbed_ops_per_position_ =
      2 * pairs *
      static_cast<double>(shape.latent_row_elements() + shape.kv_lora_rank);
}

void ModelWork::AddMatrix(const GgufTensor& tensor, double share,
                          TokenWork& work) const {
  const double ops = 2 * share * static_cast<double>(tensor.rows()) *
                     static_cast<double>(tensor.shape[0]);
  (IsFloat(tensor.type) ? work.f32_ops : work.int8_ops) += ops;
}

void ModelWork::AddAttention(double ops, TokenWork& work) const {
  (int8_cache_ ? work.int8_ops : work.f32_ops) += ops;
}

TokenWork ModelWork::PromptToken(int64_t depth, int64_t tokens) const {
  TokenWork work = layers_;
  const auto count = static_cast<double>(tokens);
  work.int8_ops += output_.int8_ops / count;
  work.f32_ops += output_.f32_ops / count;
  // Token i of the prompt sees depth + i + 1 positions.
  AddAttention(expanded_ops_per_position_ *
                   (static_cast<double>(depth) + (count + 1) / 2),
               work);
  return work;
}

TokenWork ModelWork::GeneratedToken(int64_t depth, int64_t tokens) const {
  TokenWork work = layers_;
  work.int8_ops += output_.int8_ops;
  work.f32_ops += output_.f32_ops;
  AddAttention(
      absorbed_ops_per_position_ *
          (static_cast<double>(depth) + (static_cast<double>(tokens) + 1) / 2),
      work);
  return work;
}

}  // namespace mlad
