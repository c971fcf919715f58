// Merging the softmax partials of a row's lanes.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

#include "attention/latent_cache.h"

namespace mlad {

/// Lanes of a sequence that one of `nodes` nodes holds at most.
inline constexpr int LanesOnANode(int nodes) {
  return (kLanes + nodes - 1) / nodes;
}

/// Partials of one absorbed pass, each lane's in the memory of the node that
/// holds the lane. L = LanesOnANode(nodes).
struct PartialView {
  struct OfNode {
    float* out = nullptr;  // [rows, L, heads, kv_lora_rank], normalised
    float* lse = nullptr;  // [rows, L, heads], natural log; -inf: empty
  };
  /// One lane of one row.
  struct Lane {
    float* out;  // [heads, kv_lora_rank]
    float* lse;  // [heads]
  };

  absl::Span<const OfNode> nodes;
  int64_t heads = 0;
  int64_t kv_lora_rank = 0;

  /// first_node: of the row's sequence.
  Lane At(int64_t row, int lane, int first_node) const {
    const int count = static_cast<int>(nodes.size());
    const OfNode& home = nodes[LaneNode(lane, first_node, count)];
    // Lanes of one node are `count` apart.
    const int64_t at = (row * LanesOnANode(count) + lane / count) * heads;
    return {home.out + at * kv_lora_rank, home.lse + at};
  }
};

/// Lanes that hold positions 0..position; the others have none.
inline int64_t ActiveLanes(int64_t position) {
  const int64_t pages = position / kPagePositions + 1;
  return pages < kLanes ? pages : kLanes;
}

/// Some heads of one row of the partials.
struct MergeArgs {
  PartialView partials;
  int64_t row = 0;       // of the pass
  int first_node = 0;    // of the row's sequence
  int64_t position = 0;  // of the row; lanes without positions are not read
  int64_t head_begin = 0;
  int64_t head_end = 0;
};

/// Merges the lanes of some heads of one row into the attention output.
///
/// In      args.partials, lanes below ActiveLanes(args.position)
/// Out     out [head_end - head_begin, kv_lora_rank] f32, row stride out_stride
///         floats; lse [head_end - head_begin] f32, may be null
/// Math    (out, lse) of lanes a, b: m = max(lse_a, lse_b); e = exp(lse - m);
///         out = (e_a out_a + e_b out_b) / (e_a + e_b); lse = m + ln(e_a + e_b)
/// Order   lanes l and l + s for strides s = 16, 8, 4, 2, 1: the bits do not
///         depend on where lanes live nor on the range of heads
/// Edge    one side empty: the other side, exactly; all lanes empty: out = 0,
///         lse = -inf
/// NUMA    reads partials that other nodes wrote
/// Source  attention-state merging, arXiv:2501.01005
void MergePartials(const MergeArgs& args, float* out, int64_t out_stride,
                   float* lse);

/// Does the levels of the tree whose lanes live on the same node (stride %
/// nodes == 0) in place, for the lanes of one node: MergePartials then gives
/// the same bits and reads one partial per node instead of one per lane.
///
/// In/out  args.partials: merged lanes become empty (lse = -inf)
/// NUMA    reads and writes only lanes on `node`
void MergeLocalLanes(const MergeArgs& args, int node, int nodes);

}  // namespace mlad
