// The loops over panels and tokens that all matmul kernels share.
//
// A kernel computes the dot products of one tile, kPanels panels of weights
// times kTokens tokens, for any sizes up to its largest:
//
//   struct SomeKernel {
//     using V = ...;                          // vector type
//     static constexpr int kPanels = ...;     // of the largest tile
//     static constexpr int kTokens = ...;
//     template <int kPanels, int kTokens>
//     static void Dots(const MatMulArgs&, const PanelRegions&,
//                      MatMulTile<V, kPanels, kTokens>*);
//   };
//
// and gives each (row, token) the same operations in tiles of all sizes.
//
// A kernel of a block format that is awkward to multiply with unpacks codes
// before, 256 columns at a time, for many tokens:
//
//     static void Unpack(const PanelRegions&, const UnpackJob&);
//     template <int kPanels, int kTokens>
//     static void AddBlocks(const MatMulArgs&, const PanelRegions&,
//                           const BlockSpan<kPanels>&,
//                           MatMulTile<V, kPanels, kTokens>*);
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"

namespace mlad {
namespace {

template <class V, int kPanelCount, int kTokenCount>
struct MatMulTile {
  static constexpr int kPanels = kPanelCount;
  static constexpr int kTokens = kTokenCount;
  static constexpr int kRegs = kPanelRows / V::kLanes;  // a panel's rows
  const std::byte* panels[kPanelCount];
  int64_t x_rows[kTokenCount];
  typename V::Reg dots[kPanelCount][kTokenCount][kRegs];
};

/// Some blocks of 32 columns and where the codes of the first one start.
template <int kPanelCount>
struct BlockSpan {
  const std::byte* codes[kPanelCount];
  int64_t begin;
  int64_t end;
};

/// Codes of blocks [begin, end) of a panel to `out`, a byte each: groups of 4
/// columns of 16 rows, as in a panel of kQ8.
struct UnpackJob {
  const std::byte* panel;
  int64_t begin;
  int64_t end;
  std::byte* out;
  const std::byte* ahead;  // as many bytes to fetch meanwhile
};

/// Sends one vector of dot products of token `token` to out[0 .. count).
template <class V>
[[gnu::always_inline]] inline void StoreDots(const MatMulArgs& args,
                                             int64_t token,
                                             typename V::Reg dots, int count,
                                             float* out) {
  if (args.epilogue == Epilogue::kAdd) {
    dots = V::Add(V::LoadFirst(out, count), dots);
  } else if (args.epilogue == Epilogue::kScaledAdd) {
    dots = V::Fma(V::Set(args.scale[token]), dots, V::LoadFirst(out, count));
  }
  V::StoreFirst(out, count, dots);
}

/// Panels and activations of the tile that starts at `panel` and `token`.
template <class Tile>
[[gnu::always_inline]] inline void InitTile(const MatMulArgs& args,
                                            const PanelRegions& regions,
                                            int64_t panel, int64_t token,
                                            Tile* tile) {
  for (int p = 0; p < Tile::kPanels; ++p) {
    tile->panels[p] = args.w.data + (panel + p) * regions.bytes;
  }
  // Two loops: of one, compilers make a masked load through the null pointer,
  // which CPUs pass over and some emulators do not.
  if (args.x_rows == nullptr) {
    for (int t = 0; t < Tile::kTokens; ++t) tile->x_rows[t] = token + t;
  } else {
    for (int t = 0; t < Tile::kTokens; ++t) {
      tile->x_rows[t] = args.x_rows[token + t];
    }
  }
}

/// Sends the dot products of `token` with a panel to the output.
template <class V>
[[gnu::always_inline]] inline void StorePanel(
    const MatMulArgs& args, int64_t panel, int64_t token,
    const typename V::Reg (&dots)[kPanelRows / V::kLanes]) {
  const int64_t out_row = args.out_rows ? args.out_rows[token] : token;
  float* out = args.out + out_row * args.out_stride;
  for (int v = 0; v < kPanelRows / V::kLanes; ++v) {
    const int64_t row = panel * kPanelRows + v * V::kLanes;
    const int64_t left = args.w.rows - row;
    if (left <= 0) continue;
    const int count = left < V::kLanes ? static_cast<int>(left) : V::kLanes;
    StoreDots<V>(args, token, dots[v], count, out + row);
  }
}

/// Calls Tile::Run<Kernel, kPanels, n>(job, first) for tokens [0, count) in
/// tiles of n <= kTokens tokens.
template <class Tile, class Kernel, int kPanels, int kTokens>
[[gnu::always_inline]] inline void ForTokenTiles(const typename Tile::Job& job,
                                                 int64_t token, int64_t count) {
  if constexpr (kTokens == Kernel::kTokens) {
    for (; token + kTokens < count; token += kTokens) {
      Tile::template Run<Kernel, kPanels, kTokens>(job, token);
    }
  }
  if constexpr (kTokens > 0) {
    if (count - token == kTokens) {
      Tile::template Run<Kernel, kPanels, kTokens>(job, token);
    } else {
      ForTokenTiles<Tile, Kernel, kPanels, kTokens - 1>(job, token, count);
    }
  }
}

struct WholeTile {
  struct Job {
    const MatMulArgs& args;
    const PanelRegions& regions;
    int64_t panel;
  };
  template <class Kernel, int kPanels, int kTokens>
  [[gnu::noinline]] static void Run(const Job& job, int64_t token) {
    using V = typename Kernel::V;
    MatMulTile<V, kPanels, kTokens> tile;
    InitTile(job.args, job.regions, job.panel, token, &tile);
    Kernel::Dots(job.args, job.regions, &tile);
    for (int t = 0; t < kTokens; ++t) {
      for (int p = 0; p < kPanels; ++p) {
        StorePanel<V>(job.args, job.panel + p, token + t, tile.dots[p][t]);
      }
    }
  }
};

template <class Kernel, int kPanels>
void RunPanels(const MatMulArgs& args, const PanelRegions& regions,
               int64_t panel) {
  ForTokenTiles<WholeTile, Kernel, kPanels, Kernel::kTokens>(
      {args, regions, panel}, 0, args.tokens);
}

template <class Kernel>
void RunMatMul(const MatMulArgs& args) {
  const PanelRegions regions = GetPanelRegions(args.w.format, args.w.cols);
  int64_t panel = args.panel_begin;
  for (; panel + Kernel::kPanels <= args.panel_end; panel += Kernel::kPanels) {
    RunPanels<Kernel, Kernel::kPanels>(args, regions, panel);
  }
  for (; panel < args.panel_end; ++panel) {
    RunPanels<Kernel, 1>(args, regions, panel);
  }
}

/// Tokens [first, first + count) of a matmul as one of their own.
inline MatMulArgs SliceTokens(const MatMulArgs& args, int64_t first,
                              int64_t count) {
  MatMulArgs slice = args;
  slice.tokens = count;
  if (args.x_rows != nullptr) {
    slice.x_rows += first;
  } else {
    const int64_t block = first * (args.w.cols / kQuantBlock);
    slice.x_q = {args.x_q.blocks + block, args.x_q.scales + block,
                 args.x_q.sums + block, args.x_q.bits + first};
  }
  if (args.out_rows != nullptr) {
    slice.out_rows += first;
  } else {
    slice.out += first * args.out_stride;
  }
  if (args.scale != nullptr) slice.scale += first;
  return slice;
}

/// Calls run(slice, bits) for the longest runs of tokens of equal bits.
template <class Run>
void ForRunsOfBits(const MatMulArgs& args, Run run) {
  const auto bits_of = [&](int64_t token) {
    return args.x_q.bits[args.x_rows ? args.x_rows[token] : token];
  };
  for (int64_t first = 0; first < args.tokens;) {
    const ActivationBits bits = bits_of(first);
    int64_t end = first + 1;
    while (end < args.tokens && bits_of(end) == bits) ++end;
    run(SliceTokens(args, first, end - first), bits);
    first = end;
  }
}

}  // namespace
}  // namespace mlad
