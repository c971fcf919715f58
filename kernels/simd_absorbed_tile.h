// Absorbed attention against one tile of latent rows, over a vector type.
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"
#include "kernels/simd_elementwise.h"
#include "kernels/simd_gemm.h"

namespace mlad {
namespace {

// Heads and positions whose scores are computed together: each loaded vector
// of q is used kScorePositions times, each of a row kScoreHeads times, and the
// kLanes sums are reduced together.
inline constexpr int kScorePositions = 4;
template <class V>
constexpr int kScoreHeads = V::kLanes / kScorePositions;

// Heads whose scores are kept before the values are added, a multiple of the
// register blocks of both products.
inline constexpr int kTileHeads = 24;

/// scores[h][p] of heads head_begin + h, h < heads, and all positions.
struct TileScores {
  int64_t head_begin;
  int64_t heads;
  float scores[kTileHeads][kMaxTilePositions];
};

/// Scores of kScoreHeads x kScorePositions pairs. Past the end, the last head
/// or position is computed again and stored where it belongs: every score has
/// the same order of operations.
template <class V>
void ScoreBlock(const AbsorbedTileArgs& args, int64_t head, int64_t position,
                TileScores* tile) {
  constexpr int kHeads = kScoreHeads<V>;
  const float* q[kHeads];
  const float* rows[kScorePositions];
  int64_t heads[kHeads];
  int64_t positions[kScorePositions];
#pragma GCC unroll 8
  for (int h = 0; h < kHeads; ++h) {
    heads[h] = head + h < tile->heads ? head + h : tile->heads - 1;
    q[h] = args.q + (tile->head_begin + heads[h]) * args.row_elements;
  }
#pragma GCC unroll 8
  for (int p = 0; p < kScorePositions; ++p) {
    positions[p] =
        position + p < args.positions ? position + p : args.positions - 1;
    rows[p] = args.rows + positions[p] * args.row_elements;
  }
  typename V::Reg sums[V::kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < V::kLanes; ++i) sums[i] = V::Zero();
  const auto add_products = [&](auto access, int64_t i)
      __attribute__((always_inline)) {
    typename V::Reg row[kScorePositions];
#pragma GCC unroll 8
    for (int p = 0; p < kScorePositions; ++p) row[p] = access.Load(rows[p] + i);
#pragma GCC unroll 8
    for (int h = 0; h < kHeads; ++h) {
      const auto q_part = access.Load(q[h] + i);
#pragma GCC unroll 8
      for (int p = 0; p < kScorePositions; ++p) {
        auto& sum = sums[h * kScorePositions + p];
        sum = V::Fma(q_part, row[p], sum);
      }
    }
  };
  ForEachVector<V>(args.row_elements, add_products);

  float scaled[V::kLanes];
  V::Store(scaled, V::Mul(V::SumEach(sums), V::Set(args.scale)));
  for (int h = 0; h < kHeads; ++h) {
    for (int p = 0; p < kScorePositions; ++p) {
      tile->scores[heads[h]][positions[p]] = scaled[h * kScorePositions + p];
    }
  }
}

template <class V>
void ScoreTile(const AbsorbedTileArgs& args, TileScores* tile) {
  // A group of rows stays in the first-level cache while the heads pass by.
  constexpr int64_t kGroup = V::kLanes;
  for (int64_t begin = 0; begin < args.positions; begin += kGroup) {
    const int64_t end =
        begin + kGroup < args.positions ? begin + kGroup : args.positions;
    for (int64_t head = 0; head < tile->heads; head += kScoreHeads<V>) {
      for (int64_t p = begin; p < end; p += kScorePositions) {
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
