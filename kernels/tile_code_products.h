// Products of codes on the tiles of a matrix unit: what
// avx512_coded_attention.h asks for of one. Tiles is amx::Tiles, or what stands
// in for it in tests.
// Only for files compiled for AVX-512 F, BW, DQ, VL and VNNI.
#pragma once

#include <cstddef>
#include <cstdint>

#include <immintrin.h>

#include "kernels/avx512_coded_attention.h"
#include "kernels/tile_shapes.h"

namespace mlad::amx {
namespace {

static_assert(kCodeQueries == kTileColumns && kCodeQueries == kTileRows);
static_assert(kMaxCodedPositions == 2 * kTileDepth);

/// out[i][j] = in[j][i]
inline void Transpose(const uint32_t (*in)[16], uint32_t (*out)[16]) {
  __m512i a[16], b[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) a[i] = _mm512_load_si512(in[i]);
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
  }
  // a[4 k + j]: rows 4 k to 4 k + 3 of columns j, 4 + j, 8 + j, 12 + j
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512i low0 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88);
    const __m512i low1 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88);
    const __m512i high0 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xDD);
    const __m512i high1 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xDD);
    _mm512_store_si512(out[j], _mm512_shuffle_i32x4(low0, low1, 0x88));
    _mm512_store_si512(out[8 + j], _mm512_shuffle_i32x4(low0, low1, 0xDD));
    _mm512_store_si512(out[4 + j], _mm512_shuffle_i32x4(high0, high1, 0x88));
    _mm512_store_si512(out[12 + j], _mm512_shuffle_i32x4(high0, high1, 0xDD));
  }
}

template <class Tiles>
struct TileCodeProducts {
  static void Begin(int64_t positions) {
    const int groups = GroupsOf(positions);
    const int rest = groups < kFullGroups ? groups : groups - kFullGroups;
    TileShapes shapes;
    shapes.SetSums(kSums);
    shapes.SetSums(kSums + 1);
    shapes.SetLeft(kLeft, kTileDepth);
    shapes.SetRight(kRight, kTileDepth);
    shapes.SetRight(kRight + 1, kTileDepth);
    shapes.SetLeft(kLeftRest, rest * kCodePositions);
    shapes.SetRight(kRightRest, rest * kCodePositions);
    Tiles::Configure(shapes);
  }
  static void End() { Tiles::Release(); }

  /// Left operands are rows as they are stored, right ones the blocks.
  template <int kBlocks, class RowSumOf, class Visit>
  [[gnu::always_inline]] static inline int64_t Multiply(
      const avx512::CodeBlocks<kBlocks>& blocks, const CodedRows& rows,
      const std::byte* const* next_runs, const RowSumOf& row_sum,
      const Visit& visit) {
    const int64_t columns = blocks.end_column - blocks.first_column;
    if (columns % kTileDepth != 0 || rows.run_positions % kTileRows != 0) {
      return 0;
    }
    int64_t p = 0;
    for (; p + kTileRows <= rows.positions; p += kTileRows) {
      alignas(64) int32_t sums[kBlocks][kTileRows * kTileColumns];
      AddCodes(blocks, avx512::CodesOf(rows, p, blocks.first_column),
               CodedRows::RowBytes(rows.row_elements),
               avx512::CodesAhead(blocks, rows, next_runs, p, kTileRows), sums);
      for (int r = 0; r < kTileRows; ++r) {
        const int32_t sum = row_sum(p + r);
#pragma GCC unroll 2
        for (int b = 0; b < kBlocks; ++b) {
          const __m512i products =
              _mm512_load_si512(sums[b] + r * kTileColumns);
          visit(p + r, b, blocks.Products(products, b, sum));
        }
      }
    }
    return p;
  }

  /// Left operands are the weights' codes, right ones the values.
  static bool AddValues(const CodedTileArgs& args,
                        const avx512::BlockWeights& block, int64_t first_query,
                        int queries) {
    const int groups = GroupsOf(args.rows.positions);
    alignas(64) uint32_t weights[2][kTileRows][kFullGroups];
    Transpose(block.codes, weights[0]);
    if (groups > kFullGroups) {
      Transpose(block.codes + kFullGroups, weights[1]);
    }
    if (groups >= kFullGroups) {
      Tiles::template Load<kLeft>(weights[0], sizeof(weights[0][0]));
    }
    if (groups % kFullGroups != 0 || groups > kFullGroups) {
      Tiles::template Load<kLeftRest>(weights[groups >= kFullGroups],
                                      sizeof(weights[0][0]));
    }
    for (int64_t c = 0; c < args.value_elements; c += kTileColumns) {
      alignas(64) int32_t sums[kTileRows][kTileColumns];
      SumValues(args, groups, c, sums[0]);
      for (int h = 0; h < queries; ++h) {
        avx512::AddToOutput(args, block, first_query, h, c,
                            _mm512_load_si512(sums[h]));
      }
    }
    return true;
  }

 private:
  // Tiles by number.
  static constexpr int kSums = 0;   // and 1: of two blocks
  static constexpr int kRight = 2;  // and 3: of two blocks
  static constexpr int kLeft = 4;
  static constexpr int kLeftRest = 5;  // values of less than kTileDepth
  static constexpr int kRightRest = 6;
  static constexpr int kFullGroups = kTileDepth / kCodePositions;

  static int GroupsOf(int64_t positions) {
    return static_cast<int>((positions + kCodePositions - 1) / kCodePositions);
  }

  template <int kBlocks>
  [[gnu::always_inline]] static inline void AddCodes(
      const avx512::CodeBlocks<kBlocks>& blocks, const std::byte* rows,
      int64_t row_bytes, const std::byte* ahead,
      int32_t (&sums)[kBlocks][kTileRows * kTileColumns]) {
    Tiles::template Zero<kSums>();
    if constexpr (kBlocks == 2) Tiles::template Zero<kSums + 1>();
    const int64_t columns = blocks.end_column - blocks.first_column;
    for (int64_t c = 0; c < columns; c += kTileDepth) {
      for (int r = 0; r < kTileRows; ++r) {
        _mm_prefetch(ahead + c * kTileRows + r * 64, _MM_HINT_T1);
      }
      Tiles::template Load<kLeft>(rows + c, row_bytes);
      Tiles::template Load<kRight>(blocks.codes[0] + c * kCodeQueries, 64);
      Tiles::template AddSignedUnsigned<kSums, kLeft, kRight>();
      if constexpr (kBlocks == 2) {
        Tiles::template Load<kRight + 1>(blocks.codes[1] + c * kCodeQueries,
                                         64);
        Tiles::template AddSignedUnsigned<kSums + 1, kLeft, kRight + 1>();
      }
    }
    Tiles::template Store<kSums>(sums[0]);
    if constexpr (kBlocks == 2) Tiles::template Store<kSums + 1>(sums[1]);
  }

  /// sums [queries, 16] of the values' columns from `column` on.
  static void SumValues(const CodedTileArgs& args, int groups, int64_t column,
                        int32_t* sums) {
    const int64_t stride = args.value_elements * kCodePositions;
    const int8_t* values = args.values + column * kCodePositions;
    Tiles::template Zero<kSums>();
    if (groups >= kFullGroups) {
      Tiles::template Load<kRight>(values, stride);
      Tiles::template AddUnsignedSigned<kSums, kLeft, kRight>();
      values += kFullGroups * stride;
      groups -= kFullGroups;
    }
    if (groups > 0) {
      Tiles::template Load<kRightRest>(values, stride);
      Tiles::template AddUnsignedSigned<kSums, kLeftRest, kRightRest>();
    }
    Tiles::template Store<kSums>(sums);
  }
};

}  // namespace
}  // namespace mlad::amx
