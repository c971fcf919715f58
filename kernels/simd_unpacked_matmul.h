// The matmul loops of kernels that unpack codes first (simd_matmul.h): 256
// columns of a few panels at a time, which then stay in L1 for up to
// kBatchTokens tokens. The sums are those of the direct loops, carried from one
// stretch of columns to the next.
#pragma once

#include <cstdint>

#include "kernels/simd_matmul.h"
#include "kernels/simd_quant_format.h"

namespace mlad {
namespace {

inline constexpr int64_t kBatchTokens = 64;
inline constexpr int64_t kUnpackedBlockBytes = kPanelRows * kQuantBlock;

template <class Kernel, int kPanels>
struct UnpackedBatch {
  using V = typename Kernel::V;
  alignas(64) std::byte codes[kPanels][kSuperBlocks * kUnpackedBlockBytes];
  typename V::Reg dots[kPanels][kBatchTokens][kPanelRows / V::kLanes];
};

template <class Kernel, int kPanels>
struct UnpackedTile {
  struct Job {
    const MatMulArgs& args;
    const PanelRegions& regions;
    int64_t panel;
    int64_t first_token;  // of the batch
    int64_t begin;        // blocks
    int64_t end;
    UnpackedBatch<Kernel, kPanels>* batch;
  };

  /// Adds the blocks to the sums of some tokens, counted within the batch.
  template <class SameKernel, int kSamePanels, int kTokens>
  [[gnu::noinline]] static void Run(const Job& job, int64_t token) {
    using Tile = MatMulTile<typename Kernel::V, kPanels, kTokens>;
    Tile tile;
    InitTile(job.args, job.regions, job.panel, job.first_token + token, &tile);
    BlockSpan<kPanels> span;
    span.begin = job.begin;
    span.end = job.end;
    auto& dots = job.batch->dots;
    for (int p = 0; p < kPanels; ++p) {
      span.codes[p] = job.batch->codes[p];
      for (int t = 0; t < kTokens; ++t) {
        for (int v = 0; v < Tile::kRegs; ++v) {
          tile.dots[p][t][v] = dots[p][token + t][v];
        }
      }
    }
    Kernel::AddBlocks(job.args, job.regions, span, &tile);
    for (int p = 0; p < kPanels; ++p) {
      for (int t = 0; t < kTokens; ++t) {
        for (int v = 0; v < Tile::kRegs; ++v) {
          dots[p][token + t][v] = tile.dots[p][t][v];
        }
      }
    }
  }
};

/// Tokens [first, first + count) with some panels, count <= kBatchTokens.
template <class Kernel, int kPanels>
[[gnu::noinline]] void RunUnpackedBatch(const MatMulArgs& args,
                                        const PanelRegions& regions,
                                        int64_t panel, int64_t first,
                                        int64_t count) {
  using V = typename Kernel::V;
  UnpackedBatch<Kernel, kPanels> batch;
  for (auto& panel_dots : batch.dots) {
    for (int64_t t = 0; t < count; ++t) {
      for (auto& dots : panel_dots[t]) dots = V::Zero();
    }
  }
  const int64_t blocks = args.w.cols / kQuantBlock;
  for (int64_t begin = 0; begin < blocks; begin += kSuperBlocks) {
    const int64_t end =
        blocks - begin < kSuperBlocks ? blocks : begin + kSuperBlocks;
    for (int p = 0; p < kPanels; ++p) {
      const std::byte* codes = args.w.data + (panel + p) * regions.bytes;
      Kernel::Unpack(regions,
                     {codes, begin, end, batch.codes[p],
                      codes + begin * Kernel::F::kBlockBytes + kAheadBytes});
    }
    ForTokenTiles<UnpackedTile<Kernel, kPanels>, Kernel, kPanels,
                  Kernel::kTokens>(
        {args, regions, panel, first, begin, end, &batch}, 0, count);
  }
  for (int64_t t = 0; t < count; ++t) {
    for (int p = 0; p < kPanels; ++p) {
      StorePanel<V>(args, panel + p, first + t, batch.dots[p][t]);
    }
  }
}

template <class Kernel, int kPanels>
void RunUnpackedPanels(const MatMulArgs& args, const PanelRegions& regions,
                       int64_t panel) {
  for (int64_t first = 0; first < args.tokens; first += kBatchTokens) {
    const int64_t left = args.tokens - first;
    RunUnpackedBatch<Kernel, kPanels>(
        args, regions, panel, first, left < kBatchTokens ? left : kBatchTokens);
  }
}

template <class Kernel>
void RunUnpackedMatMul(const MatMulArgs& args) {
  const PanelRegions regions = GetPanelRegions(args.w.format, args.w.cols);
  int64_t panel = args.panel_begin;
  for (; panel + Kernel::kPanels <= args.panel_end; panel += Kernel::kPanels) {
    RunUnpackedPanels<Kernel, Kernel::kPanels>(args, regions, panel);
  }
  for (; panel < args.panel_end; ++panel) {
    RunUnpackedPanels<Kernel, 1>(args, regions, panel);
  }
}

}  // namespace
}  // namespace mlad
