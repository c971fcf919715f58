// Every buffer of a step, planned once: nothing in the step allocates.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

#include "attention/merge.h"
#include "kernels/activations.h"
#include "model/hyperparameters.h"
#include "model/step_plan.h"
#include "moe/dispatch.h"
#include "numa/bump_allocator.h"
#include "numa/placement_plan.h"
#include "numa/traffic.h"

namespace mlad {

/// What all nodes read and write; lives on node 0. T = limits.tokens. What a
/// layer needs for attention and what it needs for its feed-forward share
/// memory, here and in NodeBuffers: a barrier lies between.
struct SharedBuffers {
  float* x = nullptr;           // [T, hidden], the residual stream
  float* parked = nullptr;      // [chunk_tokens, hidden], x of a span whose
                                // further layers come later
  float* rotations = nullptr;   // [T, qk_rope_head_dim], cos and sin
  float* q_a = nullptr;         // [T, q_lora_rank]
  float* kv_a = nullptr;        // [T, latent_row_elements]
  float* absorbed_q = nullptr;  // [absorbed_rows, heads, latent_row_elements]
  float* attention = nullptr;   // [T, heads * v_head_dim]
  float* router_logits = nullptr;  // [T, n_routed_experts]
  float* expert_act = nullptr;     // [T * experts per token, moe ffn]; null
                                   // where experts are whole
  float* dense_act = nullptr;      // [T, dense ffn], of layers without experts
  float* shared_act = nullptr;     // [T, ffn of the shared experts]
  float* logits = nullptr;         // [logits_rows, vocab]
};

/// One node's copies and its heads' queries.
struct NodeBuffers {
  Activations hidden;               // [T, hidden], normed
  Activations q_a;                  // [T, q_lora_rank], normed
  Activations attention;            // [T, heads * v_head_dim], quantised only
  Activations expert_act;           // floats only where experts are whole
  Activations dense_act;            // quantised only
  Activations shared_act;           // quantised only
  std::byte* latents = nullptr;     // [LatentWindow::BufferBytes(...)], of
                                    // other nodes; null where there are none
  PartialView::OfNode partials;     // of one absorbed pass, the node's lanes
  float* q = nullptr;               // [T, this node's heads, qk_head_dim]
  int32_t* expert_ids = nullptr;    // [T, experts per token]
  float* expert_weights = nullptr;  // [T, experts per token]
  float* expert_out = nullptr;      // [WholeExpertOutFloats(...)]; null where
                                    // experts are sliced
};

/// One worker's own.
struct WorkerBuffers {
  Activations head_rows;      // [absorbed_rows, max(nope, kv_lora)] quantised
  float* head_f32 = nullptr;  // [absorbed_rows, max(nope, kv_lora)]
  int32_t* pass_step_rows = nullptr;  // [absorbed_rows]
  float* w_uk = nullptr;              // [expanded_heads, kv_lora, nope]
  float* w_uv = nullptr;              // [expanded_heads, kv_lora, v]
  float* scratch = nullptr;           // what the kernels ask for, one at a time
  ExpertDispatch* dispatch = nullptr;
  Traffic* traffic = nullptr;
};

/// Bytes of each part, for the placement plan.
struct StepBufferSizes {
  int64_t shared_bytes = 0;
  int64_t node_bytes = 0;    // of the node with the most heads
  int64_t worker_bytes = 0;  // per worker
};

StepBufferSizes MeasureStepBuffers(const Hyperparameters& shape,
                                   const StepLimits& limits,
                                   MoePlacement experts, int nodes);

SharedBuffers LayOutShared(const Hyperparameters& shape,
                           const StepLimits& limits, MoePlacement experts,
                           BumpAllocator& memory);
/// What of a layer's work is one node's.
struct NodeShare {
  int nodes = 1;
  int64_t heads = 0;
  MoePlacement experts = MoePlacement::kSliced;
};
NodeBuffers LayOutNode(const Hyperparameters& shape, const StepLimits& limits,
                       const NodeShare& share, BumpAllocator& memory);
/// Leaves dispatch and traffic null.
WorkerBuffers LayOutWorker(const Hyperparameters& shape,
                           const StepLimits& limits, BumpAllocator& memory);

}  // namespace mlad
