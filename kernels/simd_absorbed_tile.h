// Absorbed attention against one tile of latent rows, over a vector type.
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"
#include "kernels/simd_elementwise.h"
#include "kernels/simd_gemm.h"

namespace mlad {
namespace {

// Heads whose scores are kept before the values are added, a multiple of the
// register blocks of both products.
inline constexpr int kTileHeads = 24;

/// scores[h][p] of heads head_begin + h, h < heads, and all positions.
struct TileScores {
  int64_t head_begin;
  int64_t heads;
  float scores[kTileHeads][kMaxTilePositions];
};

/// Scores of kScoreHeads x kScorePositions pairs: each loaded vector of q is
/// used kScorePositions times, each of a row kScoreHeads times. Past the end,
/// the last head or position is computed again and stored where it belongs:
/// every score has the same order of operations.
template <class V>
void ScoreBlock(const AbsorbedTileArgs& args, int64_t head, int64_t position,
                TileScores* tile) {
  constexpr int kHeads = V::kScoreHeads;
  constexpr int kPositions = V::kScorePositions;
  constexpr int kScores = kHeads * kPositions;
  constexpr int kGroups = (kScores + V::kLanes - 1) / V::kLanes;
  const float* q[kHeads];
  const float* rows[kPositions];
  int64_t heads[kHeads];
  int64_t positions[kPositions];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
    heads[h] = head + h < tile->heads ? head + h : tile->heads - 1;
    q[h] = args.q + (tile->head_begin + heads[h]) * args.row_elements;
  }
#pragma GCC unroll 8
  for (int p = 0; p < kPositions; ++p) {
    positions[p] =
        position + p < args.positions ? position + p : args.positions - 1;
    rows[p] = args.rows + positions[p] * args.row_elements;
  }
  typename V::Reg sums[kGroups][V::kLanes];  // a group is reduced together
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 16
    for (int i = 0; i < V::kLanes; ++i) sums[g][i] = V::Zero();
  }
  const auto add_products = [&](auto access, int64_t i)
      __attribute__((always_inline)) {
    typename V::Reg row[kPositions];
#pragma GCC unroll 8
    for (int p = 0; p < kPositions; ++p) row[p] = access.Load(rows[p] + i);
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) {
      const auto q_part = access.Load(q[h] + i);
#pragma GCC unroll 8
      for (int p = 0; p < kPositions; ++p) {
        const int s = h * kPositions + p;
        auto& sum = sums[s / V::kLanes][s % V::kLanes];
        sum = V::Fma(q_part, row[p], sum);
      }
    }
  };
  ForEachVector<V>(args.row_elements, add_products);

  float scaled[kGroups][V::kLanes];
#pragma GCC unroll 2
  for (int g = 0; g < kGroups; ++g) {
    V::Store(scaled[g], V::Mul(V::SumEach(sums[g]), V::Set(args.scale)));
  }
  for (int h = 0; h < kHeads; ++h) {
    for (int p = 0; p < kPositions; ++p) {
      const int s = h * kPositions + p;
      tile->scores[heads[h]][positions[p]] =
          scaled[s / V::kLanes][s % V::kLanes];
    }
  }
}

template <class V>
void ScoreTile(const AbsorbedTileArgs& args, TileScores* tile) {
  // A group of rows stays in the first-level cache while the heads pass by.
  constexpr int64_t kGroup = int64_t{4} * V::kScorePositions;
  for (int64_t begin = 0; begin < args.positions; begin += kGroup) {
    const int64_t end =
        begin + kGroup < args.positions ? begin + kGroup : args.positions;
    for (int64_t head = 0; head < tile->heads; head += V::kScoreHeads) {
      for (int64_t p = begin; p < end; p += V::kScorePositions) {
        ScoreBlock<V>(args, head, p, tile);
      }
    }
  }
}

template <class V>
void AbsorbedTile(const AbsorbedTileArgs& args) noexcept {
  if (args.positions == 0) return;
  TileScores tile;
  for (int64_t begin = 0; begin < args.heads; begin += kTileHeads) {
    tile.head_begin = begin;
    tile.heads =
        args.heads - begin < kTileHeads ? args.heads - begin : kTileHeads;
    ScoreTile<V>(args, &tile);
    float* out = args.state.out + begin * args.value_elements;
    for (int64_t h = 0; h < tile.heads; ++h) {
      const float factor = SoftmaxUpdate<V>(tile.scores[h], args.positions,
                                            args.state.peak + begin + h,
                                            args.state.sum + begin + h);
      if (factor != 1.0f) {
        Scale<V>(out + h * args.value_elements, args.value_elements, factor);
      }
    }
    Gemm<V>({.m = tile.heads,
             .n = args.value_elements,
             .k = args.positions,
             .a = tile.scores[0],
             .lda = kMaxTilePositions,
             .b = args.rows,
             .ldb = args.row_elements,
             .c = out,
             .ldc = args.value_elements,
             .accumulate = true});
  }
}

}  // namespace
}  // namespace mlad
