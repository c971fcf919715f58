// Absorbed attention (decode): every node attends, for all heads, to the
// latents that it holds.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "attention/merge.h"
#include "attention/row_group.h"
#include "kernels/kernels.h"
#include "numa/executor.h"
#include "numa/traffic.h"

namespace mlad {

struct AbsorbedShape {
  int64_t heads = 0;
  int64_t kv_lora_rank = 0;
  int64_t rope_dim = 0;
  float softmax_scale = 1;

  int64_t row_elements() const { return kv_lora_rank + rope_dim; }
};

/// One layer's absorbed pass as one worker sees it.
struct AbsorbedPass {
  const KernelTable* kernels = nullptr;
  const LatentCache* cache = nullptr;
  int64_t layer = 0;
  AbsorbedShape shape;
  absl::Span<const RowGroup> groups;  // first_row is not used
  const float* q = nullptr;  // [pass rows, heads, row_elements]: q_abs, q_pe
  PartialView partials;
  float* scratch = nullptr;  // [AbsorbedScratchFloats(shape)], the worker's own
  Traffic* traffic = nullptr;
};

/// Latents decoded at once, and the peaks, sums and query codes of the heads
/// being computed.
int64_t AbsorbedScratchFloats(const AbsorbedShape& shape);

/// This worker's part of the partials of the lanes that live on its node.
///
/// In      the latents of every position that the rows see, their own too, are
///         in the cache (a barrier ago)
/// Out     for each row, and each lane among its ActiveLanes(position): out and
///         lse of all heads over the lane's positions up to the row's own.
///         Other lanes are not written.
/// Math    s = scale * q . latent;  out = softmax(s) c;  lse = ln sum exp(s)
/// Order   pages of a lane ascending, each head's partial by one worker: its
///         bits depend on the row's query and the latents only
/// NUMA    reads latents of this node only; the node's workers share its
///         (group, lane, heads) evenly by positions; q lives on node 0
/// Source  arXiv:2405.04434 section 2.1.2, absorbed as in appendix C
void RunAbsorbed(const AbsorbedPass& pass, const WorkerContext& worker);

}  // namespace mlad
