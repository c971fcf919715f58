// Attention on codes with AVX-512 VNNI. Scores have a query in each lane, so
// that four adjacent codes of a row are broadcast from where they are stored;
// outputs have a column in each lane.
//
// A matrix unit can have most of the products. All sums are exact, so that it
// changes no bits:
//
//   struct SomeUnit {
//     // Around what is computed with values of so many positions.
//     static void Begin(int64_t positions);
//     static void End();
//     // As Multiply (avx512_code_products.h), of the positions before the one
//     // that is returned.
//     template <int kBlocks, class RowSumOf, class Visit>
//     static int64_t Multiply(const CodeBlocks<kBlocks>&, const CodedRows&,
//                             const std::byte* const* next_runs, RowSumOf,
//                             Visit);
//     // As AddAllValues; false: not done.
//     static bool AddValues(const CodedTileArgs&, const BlockWeights&,
//                           int64_t first_query, int queries);
//   };
//
// Only for files compiled for AVX-512 F, BW, DQ, VL and VNNI.
#pragma once

#include "kernels/avx512_code_products.h"
#include "kernels/simd_exp.h"
#include "kernels/vector_avx512.h"

namespace mlad::avx512 {
namespace {

struct NoUnit {
  static void Begin(int64_t) {}
  static void End() {}
  template <int kBlocks, class RowSumOf, class Visit>
  static int64_t Multiply(const CodeBlocks<kBlocks>&, const CodedRows&,
                          const std::byte* const*, const RowSumOf&,
                          const Visit&) {
    return 0;
  }
  template <class Weights>
  static bool AddValues(const CodedTileArgs&, const Weights&, int64_t, int) {
    return false;
  }
};

constexpr int kValueQueries = 4;  // queries and vectors of columns whose
constexpr int kValueVectors = 4;  // outputs are
static_assert(kCodeColumns == Avx512::kLanes);
static_assert(kCodeQueries == Avx512::kLanes);

/// What a tile's scores become, a lane for each query of a block.
struct BlockWeights {
  alignas(64) float weights[kMaxCodedPositions][kCodeQueries];
  alignas(64) uint32_t codes[kMaxCodedPositions / kCodePositions][kCodeQueries];
  alignas(64) float unit[kCodeQueries];    // a weight is unit * code
  alignas(64) float factor[kCodeQueries];  // of older output
};

/// out[b].weights become the scores of block first + b; head_sums are those of
/// the rows' codes before the tail.
template <class Unit, int kBlocks>
void ScoreBlocks(const CodedTileArgs& args, const int32_t* head_sums,
                 int64_t first, BlockWeights* out) {
  const QueryCodes& q = args.q;
  const int64_t columns = args.rows.row_elements;
  const bool has_tail = q.tail_scale != nullptr;
  const int64_t tail = has_tail ? q.tail_begin : columns;
  const std::byte* const* next = first == 0 ? args.next_runs : nullptr;
  const auto unit_of = [&](int64_t p) {
    return _mm512_set1_ps(args.rows.Scale(p) * args.scale);
  };
  Multiply<Unit>(
      CodeBlocks<kBlocks>(q.codes, q.scale, first, columns, 0, tail), args.rows,
      next, [&](int64_t p) { return head_sums[p]; },
      [&](int64_t p, int b, __m512 products) __attribute__((always_inline)) {
        _mm512_store_ps(out[b].weights[p], _mm512_mul_ps(products, unit_of(p)));
      });
  if (!has_tail) return;
  Multiply<Unit>(
      CodeBlocks<kBlocks>(q.codes, q.tail_scale, first, columns, tail, columns),
      args.rows, next,
      [&](int64_t p) { return args.rows.Sum(p) - head_sums[p]; },
      [&](int64_t p, int b, __m512 products) __attribute__((always_inline)) {
        float* scores = out[b].weights[p];
        _mm512_store_ps(scores, _mm512_fmadd_ps(products, unit_of(p),
                                                _mm512_load_ps(scores)));
      });
}

template <class Unit, int kBlocks>
void ProjectBlocks(const ProjectArgs& args, const int32_t* code_sums,
                   int64_t first) {
  Multiply<Unit>(
      CodeBlocks<kBlocks>(args.matrix.codes, args.matrix.scale, first,
                          args.columns, 0, args.columns),
      args.rows, nullptr, [&](int64_t p) { return code_sums[p]; },
      [&](int64_t p, int b, __m512 products) __attribute__((always_inline)) {
        _mm512_storeu_ps(
            args.out + p * args.out_stride + (first + b) * kCodeQueries,
            _mm512_mul_ps(products, _mm512_set1_ps(args.rows.Scale(p))));
      });
}

template <class Unit>
void ProjectWith(const ProjectArgs& args) {
  Unit::Begin(0);
  int32_t code_sums[kMaxCodedPositions];
  SumCodes(args.rows, args.columns, code_sums);
  const int64_t blocks = args.outputs / kCodeQueries;
  int64_t b = 0;
  for (; b + 2 <= blocks; b += 2) ProjectBlocks<Unit, 2>(args, code_sums, b);
  if (b < blocks) ProjectBlocks<Unit, 1>(args, code_sums, b);
  Unit::End();
}

/// -inf for the scores of positions that a lane's query does not see.
void HideScores(const CodedTileArgs& args, int64_t first_query,
                BlockWeights* block) {
  const int64_t positions = args.rows.positions;
  const int64_t visible = args.visible + first_query * args.visible_step;
  if (visible >= positions) return;
  const __m512i lanes =
      _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i seen = _mm512_add_epi32(
      _mm512_set1_epi32(static_cast<int32_t>(visible)),
      _mm512_mullo_epi32(
          lanes, _mm512_set1_epi32(static_cast<int32_t>(args.visible_step))));
  for (int64_t p = visible < 0 ? 0 : visible; p < positions; ++p) {
    const __mmask16 hidden = _mm512_cmple_epi32_mask(
        seen, _mm512_set1_epi32(static_cast<int32_t>(p)));
    _mm512_mask_store_ps(block->weights[p], hidden,
                         _mm512_set1_ps(-__builtin_inff()));
  }
}

/// Scores to weights, the softmax state of the block's first `queries` queries.
void UpdateState(const CodedTileArgs& args, int64_t first, int queries,
                 BlockWeights* block) {
  constexpr float kNone = -__builtin_inff();
  const int64_t positions = args.rows.positions;
  const __m512 old_peak =
      Avx512::LoadFirst(args.state.peak + first, queries, kNone);
  __m512 peak = old_peak;
  for (int64_t p = 0; p < positions; ++p) {
    peak = _mm512_max_ps(peak, _mm512_load_ps(block->weights[p]));
  }
  // A query that has seen nothing subtracts a number all the same.
  const __m512 base = _mm512_max_ps(peak, _mm512_set1_ps(-__FLT_MAX__));
  const __m512 factor = Exp<Avx512>(_mm512_sub_ps(old_peak, base));
  __m512 sum =
      _mm512_mul_ps(Avx512::LoadFirst(args.state.sum + first, queries), factor);
  __m512 largest = _mm512_setzero_ps();
  for (int64_t p = 0; p < positions; ++p) {
    const __m512 e =
        Exp<Avx512>(_mm512_sub_ps(_mm512_load_ps(block->weights[p]), base));
    sum = _mm512_add_ps(sum, e);
    const __m512 weight =
        _mm512_mul_ps(e, _mm512_set1_ps(args.value_scales[p]));
    largest = Avx512::LargerMagnitude(largest, weight);
    _mm512_store_ps(block->weights[p], weight);
  }
  Avx512::StoreFirst(args.state.peak + first, queries, peak);
  Avx512::StoreFirst(args.state.sum + first, queries, sum);
  _mm512_store_ps(block->factor, factor);
  _mm512_store_ps(block->unit,
                  _mm512_mul_ps(largest, _mm512_set1_ps(1.0f / 255)));

  const __mmask16 positive = _mm512_cmp_ps_mask(largest, _mm512_setzero_ps(),
                                                _CMP_GT_OQ);  // not of NaNs
  const __m512 inverse =
      _mm512_maskz_div_ps(positive, _mm512_set1_ps(255.0f), largest);
  for (int64_t p = 0; p < positions; p += kCodePositions) {
    __m512i four = _mm512_setzero_si512();
    for (int i = 0; i < kCodePositions && p + i < positions; ++i) {
      const __m512i code = _mm512_maskz_cvtps_epi32(
          positive,
          _mm512_mul_ps(_mm512_load_ps(block->weights[p + i]), inverse));
      four = _mm512_or_si512(four,
                             _mm512_sll_epi32(code, _mm_cvtsi32_si128(8 * i)));
    }
    _mm512_store_si512(block->codes[p / kCodePositions], four);
  }
}

/// Sums over the codes of 16 columns of values, from `column` on.
[[gnu::always_inline]] inline void AddToOutput(const CodedTileArgs& args,
                                               const BlockWeights& block,
                                               int64_t first_query, int query,
                                               int64_t column, __m512i sums) {
  float* out =
      args.state.out + (first_query + query) * args.value_elements + column;
  const __m512 older =
      _mm512_mul_ps(_mm512_loadu_ps(out), _mm512_set1_ps(block.factor[query]));
  _mm512_storeu_ps(out, _mm512_fmadd_ps(_mm512_set1_ps(block.unit[query]),
                                        _mm512_cvtepi32_ps(sums), older));
}

/// kQueries queries of the block from `query` on, kVectors vectors of columns
/// from `column` on.
template <int kQueries, int kVectors>
void AddValues(const CodedTileArgs& args, const BlockWeights& block,
               int64_t first_query, int query, int64_t column) {
  const int64_t groups =
      (args.rows.positions + kCodePositions - 1) / kCodePositions;
  const int8_t* values = args.values + column * kCodePositions;
  __m512i sums[kQueries][kVectors];
#pragma GCC unroll 4
  for (int h = 0; h < kQueries; ++h) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[h][v] = _mm512_setzero_si512();
    }
  }
  for (int64_t g = 0; g < groups; ++g) {
    __m512i value[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      value[v] = _mm512_loadu_si512(values + v * 64);
    }
    values += args.value_elements * kCodePositions;
#pragma GCC unroll 4
    for (int h = 0; h < kQueries; ++h) {
      const __m512i weight =
          _mm512_set1_epi32(static_cast<int32_t>(block.codes[g][query + h]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[h][v] = AddProducts(sums[h][v], weight, value[v]);
      }
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < kQueries; ++h) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      AddToOutput(args, block, first_query, query + h, column + v * 16,
                  sums[h][v]);
    }
  }
}

/// All queries of the block, kVectors vectors of columns from `column` on.
template <int kVectors>
void AddColumns(const CodedTileArgs& args, const BlockWeights& block,
                int64_t first_query, int queries, int64_t column) {
  int h = 0;
  for (; h + kValueQueries <= queries; h += kValueQueries) {
    AddValues<kValueQueries, kVectors>(args, block, first_query, h, column);
  }
  for (; h < queries; ++h) {
    AddValues<1, kVectors>(args, block, first_query, h, column);
  }
}

/// The outputs of the block's queries.
void AddAllValues(const CodedTileArgs& args, const BlockWeights& block,
                  int64_t first_query, int queries) {
  // A tile of the values' columns stays in the first-level cache.
  int64_t c = 0;
  for (; c + 16 * kValueVectors <= args.value_elements;
       c += 16 * kValueVectors) {
    AddColumns<kValueVectors>(args, block, first_query, queries, c);
  }
  for (; c < args.value_elements; c += 16) {
    AddColumns<1>(args, block, first_query, queries, c);
  }
}

/// The outputs of a block of queries, from `first` on, of its scores.
template <class Unit>
void FinishBlock(const CodedTileArgs& args, int64_t first,
                 BlockWeights* block) {
  const int64_t left = args.queries - first;
  const int queries =
      left < kCodeQueries ? static_cast<int>(left) : kCodeQueries;
  HideScores(args, first, block);
  UpdateState(args, first, queries, block);
  if (!Unit::AddValues(args, *block, first, queries)) {
    AddAllValues(args, *block, first, queries);
  }
}

template <class Unit, int kBlocks>
void AttendBlocks(const CodedTileArgs& args, const int32_t* head_sums,
                  int64_t first) {
  BlockWeights blocks[kBlocks];
  ScoreBlocks<Unit, kBlocks>(args, head_sums, first, blocks);
  for (int b = 0; b < kBlocks; ++b) {
    FinishBlock<Unit>(args, (first + b) * kCodeQueries, &blocks[b]);
  }
}

template <class Unit>
void AttendWith(const CodedTileArgs& args) {
  if (args.rows.positions == 0) return;
  Unit::Begin(args.rows.positions);
  int32_t head_sums[kMaxCodedPositions];
  SumCodes(
      args.rows,
      args.q.tail_scale == nullptr ? args.rows.row_elements : args.q.tail_begin,
      head_sums);
  const int64_t blocks = QueryCodeBlocks(args.queries);
  int64_t b = 0;
  for (; b + 2 <= blocks; b += 2) AttendBlocks<Unit, 2>(args, head_sums, b);
  if (b < blocks) AttendBlocks<Unit, 1>(args, head_sums, b);
  Unit::End();
}

}  // namespace
}  // namespace mlad::avx512
