#include "model/model_tensors.h"

#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "base/status.h"
#include "model/gguf_cursor.h"
#include "quant/packed_matrix.h"
#include "quant/tensor_type.h"

namespace mlad {
namespace {

class TensorLister {
 public:
  TensorLister(const GgufFile& file, const Hyperparameters& shape)
      : shape_(shape) {
    for (int64_t layer = 0; layer < shape.num_hidden_layers; ++layer) {
      has_router_bias_ |= file.FindTensor(absl::StrCat(
                              "blk.", layer, ".exp_probs_b.bias")) != nullptr;
    }
  }

  std::vector<ModelTensor> List() {
    const Hyperparameters& s = shape_;
    Add("token_embd.weight", {s.hidden_size, s.vocab_size});
    Add("output_norm.weight", {s.hidden_size});
    if (!s.tied_embeddings) {
      Add("output.weight", {s.hidden_size, s.vocab_size});
    }
    for (int64_t layer = 0; layer < s.num_hidden_layers; ++layer) {
      block_ = absl::StrCat("blk.", layer, ".");
      AddAttention();
      Add("ffn_norm.weight", {s.hidden_size});
      if (layer < s.first_k_dense_replace || s.n_routed_experts == 0) {
        AddSwiGlu("", s.intermediate_size);
      } else {
        AddExperts();
      }
    }
    return std::move(tensors_);
  }

 private:
  void Add(const std::string& name, std::vector<int64_t> shape,
           bool may_be_flat = false) {
    tensors_.push_back({block_ + name, std::move(shape), may_be_flat});
  }

  void AddAttention() {
    const Hyperparameters& s = shape_;
    const int64_t heads = s.num_attention_heads;
    const int64_t query_rows = heads * s.qk_head_dim();
    Add("attn_norm.weight", {s.hidden_size});
    if (s.q_lora_rank > 0) {
      Add("attn_q_a.weight", {s.hidden_size, s.q_lora_rank});
      Add("attn_q_a_norm.weight", {s.q_lora_rank});
      Add("attn_q_b.weight", {s.q_lora_rank, query_rows});
    } else {
      Add("attn_q.weight", {s.hidden_size, query_rows});
    }
    Add("attn_kv_a_mqa.weight", {s.hidden_size, s.latent_row_elements()});
    Add("attn_kv_a_norm.weight", {s.kv_lora_rank});
    if (s.has_split_kv_b) {
      Add("attn_k_b.weight", {s.qk_nope_head_dim, s.kv_lora_rank, heads}, true);
      Add("attn_v_b.weight", {s.kv_lora_rank, s.v_head_dim, heads}, true);
    } else {
      Add("attn_kv_b.weight",
          {s.kv_lora_rank, heads * (s.qk_nope_head_dim + s.v_head_dim)});
    }
    Add("attn_output.weight", {heads * s.v_head_dim, s.hidden_size});
  }

  void AddSwiGlu(const std::string& suffix, int64_t width) {
    Add(absl::StrCat("ffn_gate", suffix, ".weight"),
        {shape_.hidden_size, width});
    Add(absl::StrCat("ffn_up", suffix, ".weight"), {shape_.hidden_size, width});
    Add(absl::StrCat("ffn_down", suffix, ".weight"),
        {width, shape_.hidden_size});
  }

  void AddExperts() {
    const int64_t hidden = shape_.hidden_size;
    const int64_t experts = shape_.n_routed_experts;
    const int64_t width = shape_.moe_intermediate_size;
    Add("ffn_gate_inp.weight", {hidden, experts});
    if (has_router_bias_) Add("exp_probs_b.bias", {experts});
    Add("ffn_gate_exps.weight", {hidden, width, experts});
    Add("ffn_up_exps.weight", {hidden, width, experts});
    Add("ffn_down_exps.weight", {width, hidden, experts});
    if (shape_.n_shared_experts > 0) {
      AddSwiGlu("_shexp", shape_.n_shared_experts * width);
    }
  }

  const Hyperparameters& shape_;
  bool has_router_bias_ = false;
  std::string block_;
  std::vector<ModelTensor> tensors_;
};

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

/// The shape without sizes of 1 at its end, which say nothing.
std::vector<int64_t> Trimmed(std::vector<int64_t> shape) {
  while (shape.size() > 1 && shape.back() == 1) shape.pop_back();
  return shape;
}

bool HasShape(const GgufTensor& tensor, const ModelTensor& wanted) {
  const std::vector<int64_t> shape = Trimmed(tensor.shape);
  if (shape == Trimmed(wanted.shape)) return true;
  const std::vector<int64_t>& w = wanted.shape;
  return wanted.may_be_flat &&
         shape == Trimmed(std::vector<int64_t>{w[0], w[1] * w[2]});
}

bool IsFloat(TensorType type) {
  return type == TensorType::kF32 || type == TensorType::kF16 ||
         type == TensorType::kBF16;
}

absl::Status CheckTensor(const GgufFile& file, const ModelTensor& wanted) {
  const GgufTensor* tensor = file.FindTensor(wanted.name);
  if (tensor == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tensor '", wanted.name,
                     "' is missing; the file is incomplete, convert the model "
                     "again"));
  }
  if (!HasShape(*tensor, wanted)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the tensor '", wanted.name, "' has the shape ",
        ShapeText(tensor->shape), " instead of ", ShapeText(wanted.shape),
        ", which the metadata asks for; convert the model again"));
  }
  if (wanted.shape.size() == 1) {
    if (IsFloat(tensor->type)) return absl::OkStatus();
    return absl::UnimplementedError(
        absl::StrCat("the tensor '", wanted.name, "' has the type ",
                     std::string(GetTensorType(tensor->type).name),
                     " and mlad reads norms and biases as F32, F16 or BF16 "
                     "only; convert the model again"));
  }
  if (wanted.shape[0] % kQuantBlock != 0) {
    return absl::UnimplementedError(absl::StrCat(
        "the tensor '", wanted.name, "' has rows of ", wanted.shape[0],
        " elements and mlad computes with multiples of ", kQuantBlock,
        " only; use another model"));
  }
  return absl::OkStatus();
}

/// Splits "blk.12.name" into 12 and "name"; false for other names.
bool SplitBlockName(std::string_view name, int64_t& layer,
                    std::string_view& rest) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return false;
  rest = name.substr(dot + 1);
  return absl::SimpleAtoi(absl::string_view(name.data(), dot), &layer);
}

/// Tensors that mlad may pass over: layers for multi-token prediction, which
/// block_count counts and num_hidden_layers does not, and the split form of
/// attn_kv_b beside the fused one.
bool MayBeIgnored(const std::string& name, const GgufFile& file,
                  const Hyperparameters& shape) {
  int64_t layer = 0;
  std::string_view rest;
  if (!SplitBlockName(name, layer, rest)) return false;
  const int64_t blocks =
      file.GetInt("deepseek2.block_count").value_or(shape.num_hidden_layers);
  if (layer >= shape.num_hidden_layers) return layer < blocks;
  return !shape.has_split_kv_b &&
         (rest == "attn_k_b.weight" || rest == "attn_v_b.weight");
}

}  // namespace

std::vector<ModelTensor> ListModelTensors(const GgufFile& file,
                                          const Hyperparameters& shape) {
  return TensorLister(file, shape).List();
}

absl::Status CheckModelTensors(const GgufFile& file,
                               const Hyperparameters& shape) {
  std::set<std::string> known;
  for (const ModelTensor& wanted : ListModelTensors(file, shape)) {
    MLAD_RETURN_IF_ERROR(CheckTensor(file, wanted));
    known.insert(wanted.name);
  }
  for (const auto& [name, tensor] : file.tensors()) {
    if (known.contains(name) || MayBeIgnored(name, file, shape)) continue;
    return absl::UnimplementedError(
        absl::StrCat("the file has the tensor ", QuotedForMessage(name),
                     ", which mlad does not know how to use; use another "
                     "conversion of the model"));
  }
  return absl::OkStatus();
}

}  // namespace mlad
