#include "attention/merge.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace mlad {
namespace {

constexpr float kEmpty = -std::numeric_limits<float>::infinity();
constexpr int kChunk = 64;  // floats of a partial that are merged at a time

/// One inner vertex of the tree: lane `into` becomes its merge with `from`.
struct Merge {
  int into, from;
  float into_weight, from_weight;
};

/// The part of the tree that one head needs. Empty lanes do not appear.
struct MergeTree {
  float lse[kLanes];  // of the leaves, then of what was merged into them
  bool leaf[kLanes];  // has positions
  Merge merges[kLanes];
  int count = 0;
};

void AddMerge(MergeTree& tree, int into, int from) {
  const float a = tree.lse[into], b = tree.lse[from];
  tree.lse[from] = kEmpty;
  if (b == kEmpty) return;
  if (a == kEmpty) {
    tree.merges[tree.count++] = {into, from, 0, 1};
    tree.lse[into] = b;
    return;
  }
  const float peak = std::max(a, b);
  const float ea = std::exp(a - peak), eb = std::exp(b - peak);
  const float sum = ea + eb;
  tree.merges[tree.count++] = {into, from, ea / sum, eb / sum};
  tree.lse[into] = peak + std::log(sum);
}

/// The partials of one head of args.row.
struct HeadPartials {
  const MergeArgs& args;
  int64_t head;

  PartialView::Lane At(int lane) const {
    return args.partials.At(args.row, lane, args.first_node);
  }
  int64_t rank() const { return args.partials.kv_lora_rank; }
  float* Out(int lane) const { return At(lane).out + head * rank(); }
  float& Lse(int lane) const { return At(lane).lse[head]; }
};

/// Reads the lanes that `wanted(lane)` admits, then merges with the strides
/// 16, 8, ... down to `last_stride`.
template <typename Wanted>
MergeTree MakeTree(const HeadPartials& partials, int last_stride,
                   Wanted wanted) {
  MergeTree tree;
  const int64_t active = ActiveLanes(partials.args.position);
  for (int lane = 0; lane < kLanes; ++lane) {
    tree.lse[lane] =
        lane < active && wanted(lane) ? partials.Lse(lane) : kEmpty;
    tree.leaf[lane] = tree.lse[lane] != kEmpty;
  }
  for (int stride = kLanes / 2; stride >= last_stride; stride /= 2) {
    for (int lane = 0; lane < stride; ++lane) {
      AddMerge(tree, lane, lane + stride);
    }
  }
  return tree;
}

/// Merges whole chunks, of which the caller may use less: g++ makes vectors of
/// a loop whose length it knows.
void MergeChunk(const MergeTree& tree, float (*lanes)[kChunk]) {
  for (int m = 0; m < tree.count; ++m) {
    const Merge merge = tree.merges[m];
    float* into = lanes[merge.into];
    const float* from = lanes[merge.from];
    if (merge.into_weight == 0 && merge.from_weight == 1) {
      std::copy_n(from, kChunk, into);  // `into` may be empty: not read
      continue;
    }
#pragma GCC ivdep
    for (int i = 0; i < kChunk; ++i) {
      into[i] = merge.into_weight * into[i] + merge.from_weight * from[i];
    }
  }
}

/// Merges all values of the head; write(lane, first, n, values) takes what has
/// become of the lanes, [n] values from the first-th on.
template <typename Write>
void MergeValues(const HeadPartials& partials, const MergeTree& tree,
                 Write write) {
  float lanes[kLanes][kChunk] = {};
  const int64_t rank = partials.rank();
  for (int64_t first = 0; first < rank; first += kChunk) {
    const int64_t n = std::min<int64_t>(kChunk, rank - first);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (tree.leaf[lane]) {
        std::copy_n(partials.Out(lane) + first, n, lanes[lane]);
      }
    }
    MergeChunk(tree, lanes);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (tree.lse[lane] != kEmpty) write(lane, first, n, lanes[lane]);
    }
  }
}

/// The smallest stride of the tree at which lanes l and l + stride, hence those
/// of all larger strides, live on one node; kLanes when there is none.
int LastLocalStride(int nodes) {
  int stride = kLanes;
  while (stride > 1 && stride / 2 % nodes == 0) stride /= 2;
  return stride;
}

}  // namespace

void MergePartials(const MergeArgs& args, float* out, int64_t out_stride,
                   float* lse) {
  for (int64_t h = args.head_begin; h < args.head_end; ++h) {
    const HeadPartials partials = {args, h};
    const MergeTree tree = MakeTree(partials, 1, [](int) { return true; });
    float* row = out + (h - args.head_begin) * out_stride;
    if (tree.lse[0] == kEmpty) std::fill_n(row, partials.rank(), 0.0f);
    MergeValues(partials, tree,
                [&](int, int64_t first, int64_t n, const float* values) {
                  std::copy_n(values, n, row + first);
                });
    if (lse != nullptr) lse[h - args.head_begin] = tree.lse[0];
  }
}

void MergeLocalLanes(const MergeArgs& args, int node, int nodes) {
  const int last_stride = LastLocalStride(nodes);
  if (last_stride == kLanes) return;
  const auto is_local = [&](int lane) {
    return LaneNode(lane, args.first_node, nodes) == node;
  };
  for (int64_t h = args.head_begin; h < args.head_end; ++h) {
    const HeadPartials partials = {args, h};
    const MergeTree tree = MakeTree(partials, last_stride, is_local);
    MergeValues(partials, tree,
                [&](int lane, int64_t first, int64_t n, const float* values) {
                  std::copy_n(values, n, partials.Out(lane) + first);
                });
    for (int lane = 0; lane < ActiveLanes(args.position); ++lane) {
      if (is_local(lane)) partials.Lse(lane) = tree.lse[lane];
    }
  }
}

}  // namespace mlad
