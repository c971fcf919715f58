// Products of codes with AVX-512 VNNI: vectors lie in lanes, and four adjacent
// codes of a row are broadcast from where they are stored.
// Only for files compiled for AVX-512 F, BW, DQ, VL and VNNI.
#pragma once

#include <cstdint>

#include <immintrin.h>

#include "kernels/coded_attention.h"

namespace mlad::avx512 {
namespace {

inline constexpr int kScoreRows = 8;  // positions that are computed at once

/// sum + products of u8 `codes` and s8 `x`, four to a lane. As the instruction
/// itself: for the intrinsic g++ 12 moves sums about and spills them.
[[gnu::always_inline]] inline __m512i AddProducts(__m512i sum, __m512i codes,
                                                  __m512i x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(x));
  return sum;
}

inline __m512i BroadcastCodes(const std::byte* codes) {
  int32_t four;
  __builtin_memcpy(&four, codes, sizeof(four));
  return _mm512_set1_epi32(four);
}

/// Columns [first_column, end_column) of kBlocks blocks of 16 vectors, and
/// their scales.
template <int kBlocks>
struct CodeBlocks {
  const uint8_t* codes[kBlocks];  // [columns / 4, 16, 4]
  __m512 scales[kBlocks];
  int64_t first_column;
  int64_t end_column;

  /// Of vectors of `columns` columns in all.
  CodeBlocks(const uint8_t* all, const float* scale, int64_t first_block,
             int64_t columns, int64_t first, int64_t end)
      : first_column(first), end_column(end) {
    for (int b = 0; b < kBlocks; ++b) {
      codes[b] = all + ((first_block + b) * columns + first) * kCodeQueries;
      scales[b] = _mm512_loadu_ps(scale + (first_block + b) * kCodeQueries);
    }
  }

  /// Products of block b, of the sums over codes of a row with this sum.
  [[gnu::always_inline]] __m512 Products(__m512i sums, int b,
                                         int32_t row_sum) const {
    // Codes are those of numbers + 128.
    const __m512i dots =
        _mm512_sub_epi32(sums, _mm512_set1_epi32(128 * row_sum));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(dots), scales[b]);
  }
};

inline const std::byte* CodesOf(const CodedRows& rows, int64_t p,
                                int64_t column) {
  return rows.Row(p) + CodedRows::kHeaderBytes + column;
}

/// Where to fetch as many bytes as multiplying `count` rows from p on reads.
template <int kBlocks>
inline const std::byte* CodesAhead(const CodeBlocks<kBlocks>& blocks,
                                   const CodedRows& rows,
                                   const std::byte* const* next_runs, int64_t p,
                                   int count) {
  if (next_runs == nullptr) return CodesOf(rows, p, blocks.first_column);
  return rows.RowOf(next_runs, p) + blocks.first_column * count;
}

/// sums[p] = the first `columns` codes of row p.
inline void SumCodes(const CodedRows& rows, int64_t columns, int32_t* sums) {
  const __m512i ones = _mm512_set1_epi8(1);
  for (int64_t p = 0; p < rows.positions; ++p) {
    const std::byte* codes = rows.Row(p) + CodedRows::kHeaderBytes;
    __m512i behind = _mm512_setzero_si512();
    for (int64_t c = columns; c < rows.row_elements; c += 64) {
      const int64_t left = rows.row_elements - c;
      const __mmask64 exists =
          left < 64 ? (__mmask64{1} << left) - 1 : ~__mmask64{0};
      behind =
          AddProducts(behind, ones, _mm512_maskz_loadu_epi8(exists, codes + c));
    }
    sums[p] = rows.Sum(p) - _mm512_reduce_add_epi32(behind);
  }
}

/// sums[r][b] = codes of block b times those of row r. Meanwhile fetches as
/// many bytes from `ahead` on as it reads.
template <int kRows, int kBlocks>
[[gnu::always_inline]] inline void AddCodes(
    const CodeBlocks<kBlocks>& blocks, const std::byte* const (&rows)[kRows],
    const std::byte* ahead, __m512i (&sums)[kRows][kBlocks]) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int b = 0; b < kBlocks; ++b) sums[r][b] = _mm512_setzero_si512();
  }
  const int64_t groups = (blocks.end_column - blocks.first_column) / 4;
  for (int64_t g = 0; g < groups; ++g) {
    _mm_prefetch(ahead + g * 4 * kRows, _MM_HINT_T1);
    __m512i codes[kBlocks];
#pragma GCC unroll 2
    for (int b = 0; b < kBlocks; ++b) {
      codes[b] = _mm512_loadu_si512(blocks.codes[b] + g * 4 * kCodeQueries);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512i of_row = BroadcastCodes(rows[r] + 4 * g);
#pragma GCC unroll 2
      for (int b = 0; b < kBlocks; ++b) {
        sums[r][b] = AddProducts(sums[r][b], codes[b], of_row);
      }
    }
  }
}

/// Calls visit(position, block, products): of the blocks' vectors and the same
/// columns of each row, scaled by the vectors' scales only. row_sum(position)
/// is of those columns; next_runs as in CodedTileArgs. Unit (see
/// avx512_coded_attention.h) has the first positions.
template <class Unit, int kBlocks, class RowSumOf, class Visit>
[[gnu::always_inline]] inline void Multiply(const CodeBlocks<kBlocks>& blocks,
                                            const CodedRows& rows,
                                            const std::byte* const* next_runs,
                                            RowSumOf row_sum, Visit visit) {
  const auto some = [&]<int kRows>(int64_t first)
      __attribute__((always_inline)) {
    const std::byte* of_rows[kRows];
    for (int r = 0; r < kRows; ++r) {
      of_rows[r] = CodesOf(rows, first + r, blocks.first_column);
    }
    __m512i sums[kRows][kBlocks];
    AddCodes(blocks, of_rows, CodesAhead(blocks, rows, next_runs, first, kRows),
             sums);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int b = 0; b < kBlocks; ++b) {
        visit(first + r, b, blocks.Products(sums[r][b], b, row_sum(first + r)));
      }
    }
  };
  int64_t p = Unit::Multiply(blocks, rows, next_runs, row_sum, visit);
  for (; p + kScoreRows <= rows.positions; p += kScoreRows) {
    some.template operator()<kScoreRows>(p);
  }
  for (; p + 2 <= rows.positions; p += 2) some.template operator()<2>(p);
  if (p < rows.positions) some.template operator()<1>(p);
}

}  // namespace
}  // namespace mlad::avx512
