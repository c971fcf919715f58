#include "model/step_buffers.h"

#include <algorithm>

#include "attention/absorbed.h"
#include "attention/expanded.h"
#include "attention/latent_window.h"
#include "model/shapes.h"
#include "moe/feed_forward.h"
#include "moe/router.h"
#include "moe/whole_experts.h"

namespace mlad {
namespace {

QuantizedActivations TakeQuantized(BumpAllocator& memory, int64_t rows,
                                   int64_t cols) {
  const int64_t blocks = rows * cols / kQuantBlock;
  return {memory.Take<ActivationBlock>(blocks), memory.Take<float>(blocks),
          memory.Take<ActivationSums>(blocks),
          memory.Take<ActivationBits>(rows)};
}

Activations TakeActivations(BumpAllocator& memory, int64_t rows, int64_t cols) {
  return {cols, memory.Take<float>(rows * cols),
          TakeQuantized(memory, rows, cols)};
}

Activations TakeQuantizedOnly(BumpAllocator& memory, int64_t rows,
                              int64_t cols) {
  return {cols, nullptr, TakeQuantized(memory, rows, cols)};
}

/// Of layers without experts; 0: the model has none.
int64_t DenseWidth(const Hyperparameters& shape) {
  const bool has_dense =
      shape.first_k_dense_replace > 0 || shape.n_routed_experts == 0;
  return has_dense ? shape.intermediate_size : 0;
}

int64_t SharedExpertsWidth(const Hyperparameters& shape) {
  return shape.n_shared_experts * shape.moe_intermediate_size;
}

int64_t ScratchFloats(const Hyperparameters& shape, const StepLimits& limits) {
  return std::max(
      {AbsorbedScratchFloats(MakeAbsorbedShape(shape)),
       ExpandedScratchFloats(MakeExpandedShape(shape), limits.chunk_tokens,
                             limits.expanded_heads),
       kGateUpScratchFloats, RouterScratchFloats(MakeRouterShape(shape)),
       shape.latent_row_elements(),
       shape.kv_lora_rank * shape.v_head_dim});  // W_uv to be transposed
}

}  // namespace

SharedBuffers LayOutShared(const Hyperparameters& shape,
                           const StepLimits& limits, MoePlacement experts,
                           BumpAllocator& memory) {
  const int64_t t = limits.tokens;
  const int64_t heads = shape.num_attention_heads;
  const int64_t pass = limits.absorbed_rows;
  SharedBuffers b;
  b.x = memory.Take<float>(t * shape.hidden_size);
  b.parked = memory.Take<float>(limits.chunk_tokens * shape.hidden_size);
  b.rotations = memory.Take<float>(t * shape.qk_rope_head_dim);
  const auto lay_attention = [&] {
    b.q_a = memory.Take<float>(t * shape.q_lora_rank);
    b.kv_a = memory.Take<float>(t * shape.latent_row_elements());
    b.absorbed_q =
        memory.Take<float>(pass * heads * shape.latent_row_elements());
    b.attention = memory.Take<float>(t * heads * shape.v_head_dim);
  };
  const auto lay_experts = [&] {
    b.router_logits = memory.Take<float>(t * shape.n_routed_experts);
    b.shared_act = memory.Take<float>(t * SharedExpertsWidth(shape));
    if (experts == MoePlacement::kWhole) return;
    b.expert_act = memory.Take<float>(t * shape.num_experts_per_tok *
                                      shape.moe_intermediate_size);
  };
  memory.Overlay(
      lay_attention, lay_experts,
      [&] { b.dense_act = memory.Take<float>(t * DenseWidth(shape)); },
      [&] {
        b.logits = memory.Take<float>(limits.logits_rows * shape.vocab_size);
      });
  return b;
}

NodeBuffers LayOutNode(const Hyperparameters& shape, const StepLimits& limits,
                       const NodeShare& share, BumpAllocator& memory) {
  const int64_t t = limits.tokens;
  const int64_t pairs = t * shape.num_experts_per_tok;
  NodeBuffers b;
  b.hidden = TakeActivations(memory, t, shape.hidden_size);
  const auto lay_attention = [&] {
    b.q_a = TakeActivations(memory, t, shape.q_lora_rank);
    b.attention = TakeQuantizedOnly(
        memory, t, shape.num_attention_heads * shape.v_head_dim);
    if (share.nodes > 1) {
      b.latents = memory.Take<std::byte>(
          LatentWindow::BufferBytes(shape.latent_row_elements()));
    }
    const int64_t partials = limits.absorbed_rows * LanesOnANode(share.nodes) *
                             shape.num_attention_heads;
    b.partials.out = memory.Take<float>(partials * shape.kv_lora_rank);
    b.partials.lse = memory.Take<float>(partials);
    b.q = memory.Take<float>(t * share.heads * shape.qk_head_dim());
  };
  const auto lay_experts = [&] {
    b.expert_ids = memory.Take<int32_t>(pairs);
    b.expert_weights = memory.Take<float>(pairs);
    b.shared_act = TakeQuantizedOnly(memory, t, SharedExpertsWidth(shape));
    if (share.experts != MoePlacement::kWhole) {
      b.expert_act =
          TakeQuantizedOnly(memory, pairs, shape.moe_intermediate_size);
      return;
    }
    b.expert_act = TakeActivations(memory, pairs, shape.moe_intermediate_size);
    b.expert_out =
        memory.Take<float>(WholeExpertOutFloats(pairs, shape.hidden_size));
  };
  memory.Overlay(lay_attention, lay_experts, [&] {
    b.dense_act = TakeQuantizedOnly(memory, t, DenseWidth(shape));
  });
  return b;
}

WorkerBuffers LayOutWorker(const Hyperparameters& shape,
                           const StepLimits& limits, BumpAllocator& memory) {
  const int64_t widest = std::max(shape.qk_nope_head_dim, shape.kv_lora_rank);
  const int64_t pass = limits.absorbed_rows;
  WorkerBuffers b;
  b.head_rows = TakeQuantizedOnly(memory, pass, widest);
  b.head_f32 = memory.Take<float>(pass * widest);
  b.pass_step_rows = memory.Take<int32_t>(pass);
  const int64_t head_columns = limits.expanded_heads * shape.kv_lora_rank;
  b.w_uk = memory.Take<float>(head_columns * shape.qk_nope_head_dim);
  b.w_uv = memory.Take<float>(head_columns * shape.v_head_dim);
  b.scratch = memory.Take<float>(ScratchFloats(shape, limits));
  return b;
}

StepBufferSizes MeasureStepBuffers(const Hyperparameters& shape,
                                   const StepLimits& limits,
                                   MoePlacement experts, int nodes) {
  BumpAllocator shared, node, worker;
  LayOutShared(shape, limits, experts, shared);
  const WorkRange heads = SplitEvenly(shape.num_attention_heads, nodes, 0);
  LayOutNode(shape, limits, {nodes, heads.size(), experts}, node);
  LayOutWorker(shape, limits, worker);
  return {shared.used_bytes(), node.used_bytes(), worker.used_bytes()};
}

}  // namespace mlad
