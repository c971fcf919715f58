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
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"

namespace mlad {
namespace {

template <class V, int kPanelCount, int kTokenCount>
struct MatMulTile {
  static constexpr int kRegs = kPanelRows / V::kLanes;  // a panel's rows
  const std::byte* panels[kPanelCount];
  int64_t x_rows[kTokenCount];
  typename V::Reg dots[kPanelCount][kTokenCount][kRegs];
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

template <class Kernel, int kPanels, int kTokens>
[[gnu::noinline]] void RunTile(const MatMulArgs& args,
                               const PanelRegions& regions, int64_t panel,
                               int64_t token) {
  using V = typename Kernel::V;
  using Tile = MatMulTile<V, kPanels, kTokens>;
  Tile tile;
  for (int p = 0; p < kPanels; ++p) {
    tile.panels[p] = args.w.data + (panel + p) * regions.bytes;
  }
  // Two loops: of one, compilers make a masked load through a null pointer,
  // which CPUs pass over and some emulators do not.
  if (args.x_rows == nullptr) {
    for (int t = 0; t < kTokens; ++t) tile.x_rows[t] = token + t;
  } else {
    for (int t = 0; t < kTokens; ++t) tile.x_rows[t] = args.x_rows[token + t];
  }
  Kernel::Dots(args, regions, &tile);
  for (int t = 0; t < kTokens; ++t) {
    const int64_t out_row =
        args.out_rows ? args.out_rows[token + t] : token + t;
    float* out = args.out + out_row * args.out_stride;
    for (int p = 0; p < kPanels; ++p) {
      for (int v = 0; v < Tile::kRegs; ++v) {
        const int64_t row = (panel + p) * kPanelRows + v * V::kLanes;
        const int64_t left = args.w.rows - row;
        if (left <= 0) continue;
        const int count = left < V::kLanes ? static_cast<int>(left) : V::kLanes;
        StoreDots<V>(args, token + t, tile.dots[p][t][v], count, out + row);
      }
    }
  }
}

/// The last tokens, at most kTokens.
template <class Kernel, int kPanels, int kTokens>
void RunLastTokens(const MatMulArgs& args, const PanelRegions& regions,
                   int64_t panel, int64_t token) {
  if constexpr (kTokens > 0) {
    if (args.tokens - token == kTokens) {
      RunTile<Kernel, kPanels, kTokens>(args, regions, panel, token);
    } else {
      RunLastTokens<Kernel, kPanels, kTokens - 1>(args, regions, panel, token);
    }
  }
}

template <class Kernel, int kPanels>
void RunPanels(const MatMulArgs& args, const PanelRegions& regions,
               int64_t panel) {
  int64_t token = 0;
  for (; token + Kernel::kTokens < args.tokens; token += Kernel::kTokens) {
    RunTile<Kernel, kPanels, Kernel::kTokens>(args, regions, panel, token);
  }
  RunLastTokens<Kernel, kPanels, Kernel::kTokens>(args, regions, panel, token);
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

}  // namespace
}  // namespace mlad
