// Expanded attention (prefill): keys and values of one tile of positions at a
// time are computed from the latents and shared by all rows of a chunk.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "attention/latent_window.h"
#include "attention/row_group.h"
#include "kernels/kernels.h"
#include "numa/traffic.h"

namespace mlad {

struct ExpandedShape {
  int64_t qk_nope = 0;
  int64_t rope_dim = 0;
  int64_t v_dim = 0;
  int64_t kv_lora_rank = 0;
  float softmax_scale = 1;

  int64_t qk_dim() const { return qk_nope + rope_dim; }
  int64_t row_elements() const { return kv_lora_rank + rope_dim; }
};

/// Positions whose latents are decoded and expanded at once, and rows whose
/// scores are computed at once: a tile's buffers stay in the L2 cache. Tiles
/// begin at multiples of kExpandedTile, whatever the chunk.
inline constexpr int64_t kExpandedTile = int64_t{4} * kPagePositions;
inline constexpr int64_t kExpandedRows = 64;

/// One head of the chunk.
struct ExpandedHead {
  const float* w_uk = nullptr;  // W_uk^T [kv_lora_rank, qk_nope]
  const float* w_uv = nullptr;  // W_uv^T [kv_lora_rank, v_dim]
  const float* q = nullptr;     // [rows, qk_nope + rope_dim], roped
  int64_t q_stride = 0;         // floats between rows
  float* out = nullptr;         // [rows, v_dim]
  int64_t out_stride = 0;       // floats between rows
};

struct ExpandedChunk {
  const KernelTable* kernels = nullptr;
  const LatentCache* cache = nullptr;
  int64_t layer = 0;
  ExpandedShape shape;
  RowGroup rows;  // pages, first_position and rows are used
  absl::Span<const ExpandedHead> heads;  // share the decoded latents
  float* scratch = nullptr;  // [ExpandedScratchFloats(...)], the worker's own
  int node = 0;              // of the calling worker, to tell remote pages
  LatentWindow* window = nullptr;  // the worker's; null: pages are read where
                                   // they are
  Traffic* traffic = nullptr;
};

/// For chunks of up to `chunk_tokens` rows, `heads` heads per call. Does not
/// depend on the context.
int64_t ExpandedScratchFloats(const ExpandedShape& shape, int64_t chunk_tokens,
                              int64_t heads = 1);

/// Attention output of the chunk's rows for some heads, on the calling thread.
///
/// In      the latents of all positions up to the chunk's last row are in the
///         cache (a barrier ago)
/// Out     heads[i].out, for every head
/// Math    k = [W_uk c | k_pe];  v = W_uv c;  s = scale * q . k over positions
///         up to the row's own;  out = softmax(s) v
/// Order   tiles ascending: a row's bits depend on its position, its query and
///         the latents, not on how rows are cut into calls or heads grouped
/// NUMA    streams pages of all nodes, once per call; with a window its node's
///         workers share what they fetch of other nodes, and all of them must
///         walk it equally often
/// Source  arXiv:2405.04434 section 2.1; online softmax, arXiv:2112.05682
void RunExpanded(const ExpandedChunk& chunk);

}  // namespace mlad
