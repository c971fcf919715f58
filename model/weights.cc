#include "model/weights.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "model/weight_placer.h"

namespace mlad {
namespace {

void PackTransposed(const PackJob& job) {
  // The source is [cols, rows]; a head's block is small (512 x 128).
  std::vector<float> source(job.rows * job.cols), transposed(source.size());
  DequantizeRow(job.type, job.source, job.rows * job.cols, source.data());
  for (int64_t c = 0; c < job.cols; ++c) {
    for (int64_t r = 0; r < job.rows; ++r) {
      transposed[r * job.cols + c] = source[c * job.rows + r];
    }
  }
  PackFloatRows(job.format, transposed.data(), job.rows, job.cols, job.out);
}

AttentionWeights LayOutAttention(WeightPlacer& placer, const std::string& blk,
                                 const Hyperparameters& shape) {
  const int64_t heads = shape.num_attention_heads;
  const int64_t nope = shape.qk_nope_head_dim, v = shape.v_head_dim;
  AttentionWeights w;
  w.norm = placer.Vector(blk + "attn_norm.weight");
  if (shape.q_lora_rank > 0) {
    w.q_a = placer.Rows(blk + "attn_q_a.weight");
    w.q_a_norm = placer.Vector(blk + "attn_q_a_norm.weight");
    w.q = placer.RowsByHead(blk + "attn_q_b.weight", heads);
  } else {
    w.q = placer.RowsByHead(blk + "attn_q.weight", heads);
  }
  w.kv_a = placer.Rows(blk + "attn_kv_a_mqa.weight");
  w.kv_a_norm = placer.Vector(blk + "attn_kv_a_norm.weight");
  if (shape.has_split_kv_b) {
    const int64_t lora = shape.kv_lora_rank;
    w.k_b = placer.PerHead(blk + "attn_k_b.weight", {heads, lora, 0, lora});
    w.v_b = placer.PerHead(blk + "attn_v_b.weight", {heads, v, 0, v});
  } else {
    const std::string kv_b = blk + "attn_kv_b.weight";
    w.k_b = placer.PerHead(kv_b, {heads, nope + v, 0, nope, true});
    w.v_b = placer.PerHead(kv_b, {heads, nope + v, nope, v});
  }
  w.output = placer.Rows(blk + "attn_output.weight");
  return w;
}

SwiGlu LayOutSwiGlu(WeightPlacer& placer, const std::string& blk,
                    const std::string& suffix) {
  return {placer.Rows(absl::StrCat(blk, "ffn_gate", suffix, ".weight")),
          placer.Rows(absl::StrCat(blk, "ffn_up", suffix, ".weight")),
          placer.Rows(absl::StrCat(blk, "ffn_down", suffix, ".weight"))};
}

void LayOutExperts(WeightPlacer& placer, const std::string& blk,
                   const Hyperparameters& shape, const ExpertPlan& plan,
                   LayerWeights& layer) {
  layer.router = placer.Rows(blk + "ffn_gate_inp.weight");
  if (placer.Has(blk + "exp_probs_b.bias")) {
    layer.router_bias = placer.Vector(blk + "exp_probs_b.bias");
  }
  const auto gate =
      placer.Experts(blk + "ffn_gate_exps.weight", plan.placement);
  const auto up = placer.Experts(blk + "ffn_up_exps.weight", plan.placement);
  const auto down =
      placer.Experts(blk + "ffn_down_exps.weight", plan.placement);
  for (size_t e = 0; e < gate.size(); ++e) {
    layer.ffn.experts.push_back({gate[e], up[e], down[e]});
  }
  if (plan.placement == MoePlacement::kWhole) {
    layer.ffn.copies =
        ExpertCopies::AtHome(shape.n_routed_experts, placer.nodes());
  }
  if (plan.replicas > 0) {
    layer.ffn.replicas =
        placer.RoomForExperts(layer.ffn.experts[0], plan.replicas);
  }
  if (shape.n_shared_experts > 0) {
    layer.ffn.always = LayOutSwiGlu(placer, blk, "_shexp");
  }
}

}  // namespace

void RunPackJob(const PackJob& job) {
  switch (job.kind) {
    case PackJob::Kind::kPackRows:
      PackRows(job.type, job.source, job.rows, job.cols, job.out);
      return;
    case PackJob::Kind::kCopyBytes:
      std::memcpy(job.out, job.source, job.rows * job.cols);
      return;
    case PackJob::Kind::kToFloat:
      DequantizeRow(job.type, job.source, job.cols,
                    reinterpret_cast<float*>(job.out));
      return;
    case PackJob::Kind::kPackTransposed:
      PackTransposed(job);
      return;
  }
}

WeightLayout LayOutWeights(const GgufFile& file, const Hyperparameters& shape,
                           const ExpertPlan& experts, int nodes,
                           absl::Span<std::byte* const> bases) {
  WeightPlacer placer(file, nodes, bases);
  WeightLayout layout;
  ModelWeights& w = layout.weights;
  w.embedding_type = file.FindTensor("token_embd.weight")->type;
  w.embedding = placer.Embedding("token_embd.weight");
  for (int64_t i = 0; i < shape.num_hidden_layers; ++i) {
    const std::string blk = absl::StrCat("blk.", i, ".");
    LayerWeights& layer = w.layers.emplace_back();
    layer.attention = LayOutAttention(placer, blk, shape);
    layer.ffn_norm = placer.Vector(blk + "ffn_norm.weight");
    if (i < shape.first_k_dense_replace || shape.n_routed_experts == 0) {
      layer.ffn.always = LayOutSwiGlu(placer, blk, "");
    } else {
      LayOutExperts(placer, blk, shape, experts, layer);
    }
  }
  w.output_norm = placer.Vector("output_norm.weight");
  w.output = placer.Rows(shape.tied_embeddings ? "token_embd.weight"
                                               : "output.weight");
  placer.Finish(layout);
  return layout;
}

}  // namespace mlad
