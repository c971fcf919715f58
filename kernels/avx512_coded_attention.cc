// Attention on codes with AVX-512 VNNI. Scores have a query in each lane, so
// that four adjacent codes of a row are broadcast from where they are stored;
// outputs have a column in each lane.
#include "kernels/avx512_kernels.h"
#include "kernels/simd_exp.h"
#include "kernels/vector_avx512.h"

namespace mlad::avx512 {
namespace {

constexpr int kScoreRows = 8;     // positions whose scores are computed at once
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

/// sum + products of u8 `codes` and s8 `x`, four to a lane. As the instruction
/// itself: for the intrinsic g++ 12 moves sums about and spills them.
[[gnu::always_inline]] inline __m512i AddProducts(__m512i sum, __m512i codes,
                                                  __m512i x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(x));
  return sum;
}

float RowScale(const std::byte* row) {
  float scale;
  __builtin_memcpy(&scale, row, sizeof(scale));
  return scale;
}

int32_t RowSum(const std::byte* row) {
  int32_t sum;
  __builtin_memcpy(&sum, row + sizeof(float), sizeof(sum));
  return sum;
}

__m512i BroadcastCodes(const std::byte* codes) {
  int32_t four;
  __builtin_memcpy(&four, codes, sizeof(four));
  return _mm512_set1_epi32(four);
}

/// Codes of 16 vectors, [columns / 4, 16, 4].
struct CodeBlock {
  const uint8_t* high;
  const uint8_t* low;
  __m512 scale;

  CodeBlock(const QueryCodes& codes, int64_t block, int64_t columns)
      : high(codes.high + block * columns * kCodeQueries),
        low(codes.low + block * columns * kCodeQueries),
        scale(_mm512_loadu_ps(codes.scale + block * kCodeQueries)) {}
};

/// The sum of the first `columns` codes of a row.
int32_t SumOfCodes(const std::byte* row, int64_t row_elements,
                   int64_t columns) {
  __m512i behind = _mm512_setzero_si512();
  for (int64_t c = columns; c < row_elements; c += 64) {
    const int64_t left = row_elements - c;
    const __mmask64 exists =
        left < 64 ? (__mmask64{1} << left) - 1 : ~__mmask64{0};
    behind = AddProducts(
        behind, _mm512_set1_epi8(1),
        _mm512_maskz_loadu_epi8(exists, row + CodedRows::kHeaderBytes + c));
  }
  return RowSum(row) - _mm512_reduce_add_epi32(behind);
}

/// dots[r] = codes of 16 vectors times those of row r, scaled by neither.
/// Meanwhile fetches as many bytes from `ahead` on as it reads.
template <int kRows, bool kWide>
[[gnu::always_inline]] inline void Dots(const CodeBlock& q,
                                        const std::byte* const (&rows)[kRows],
                                        const int32_t (&sums)[kRows],
                                        int64_t columns, const std::byte* ahead,
                                        __m512 (&dots)[kRows]) {
  __m512i high_sums[kRows];
  __m512i low_sums[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    high_sums[r] = low_sums[r] = _mm512_setzero_si512();
  }
  for (int64_t g = 0; g < columns / 4; ++g) {
    _mm_prefetch(ahead + g * 4 * kRows, _MM_HINT_T1);
    const __m512i q_high = _mm512_loadu_si512(q.high + g * 4 * kCodeQueries);
    __m512i q_low;
    if constexpr (kWide) {
      q_low = _mm512_loadu_si512(q.low + g * 4 * kCodeQueries);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const __m512i codes =
          BroadcastCodes(rows[r] + CodedRows::kHeaderBytes + 4 * g);
      high_sums[r] = AddProducts(high_sums[r], q_high, codes);
      if constexpr (kWide) {
        low_sums[r] = AddProducts(low_sums[r], q_low, codes);
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    // High bytes are those of numbers + 128.
    dots[r] = _mm512_cvtepi32_ps(
        _mm512_sub_epi32(high_sums[r], _mm512_set1_epi32(128 * sums[r])));
    if constexpr (kWide) {
      dots[r] = _mm512_fmadd_ps(_mm512_set1_ps(256.0f), dots[r],
                                _mm512_cvtepi32_ps(low_sums[r]));
    }
  }
}

/// Calls body.operator()<kRows>(first) for all positions, kMost at once.
template <int kMost, class Body>
[[gnu::always_inline]] inline void ForPositions(int64_t positions, Body body) {
  int64_t p = 0;
  for (; p + kMost <= positions; p += kMost) body.template operator()<kMost>(p);
  for (; p + 2 <= positions; p += 2) body.template operator()<2>(p);
  if (p < positions) body.template operator()<1>(p);
}

template <bool kWide>
void ScoreBlock(const CodedTileArgs& args, int64_t block, BlockWeights* out) {
  const int64_t columns = args.rows.row_elements;
  const CodeBlock q(args.q, block, columns);
  const bool fetches = args.next_runs != nullptr && block == 0;
  ForPositions<kWide ? kScoreRows : 2 * kScoreRows>(
      args.rows.positions, [&]<int kRows>(
                               int64_t first) __attribute__((always_inline)) {
        const std::byte* rows[kRows];
        int32_t sums[kRows];
        __m512 dots[kRows];
        for (int r = 0; r < kRows; ++r) {
          rows[r] = args.rows.Row(first + r);
          sums[r] = RowSum(rows[r]);
        }
        const std::byte* ahead =
            fetches ? args.rows.RowOf(args.next_runs, first) : rows[0];
        Dots<kRows, kWide>(q, rows, sums, columns, ahead, dots);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const __m512 unit = _mm512_set1_ps(RowScale(rows[r]) * args.scale);
          _mm512_store_ps(out->weights[first + r],
                          _mm512_mul_ps(_mm512_mul_ps(dots[r], q.scale), unit));
        }
      });
}

template <bool kWide>
void ProjectRows(const ProjectArgs& args) {
  int32_t code_sums[kMaxCodedPositions];
  for (int64_t p = 0; p < args.rows.positions; ++p) {
    code_sums[p] =
        SumOfCodes(args.rows.Row(p), args.rows.row_elements, args.columns);
  }
  for (int64_t i = 0; i < args.outputs; i += kCodeQueries) {
    const CodeBlock w(args.matrix, i / kCodeQueries, args.columns);
    ForPositions<kWide ? kScoreRows : 2 * kScoreRows>(
        args.rows.positions, [&]<int kRows>(
                                 int64_t first) __attribute__((always_inline)) {
          const std::byte* rows[kRows];
          int32_t sums[kRows];
          __m512 dots[kRows];
          for (int r = 0; r < kRows; ++r) {
            rows[r] = args.rows.Row(first + r);
            sums[r] = code_sums[first + r];
          }
          Dots<kRows, kWide>(w, rows, sums, args.columns, rows[0], dots);
#pragma GCC unroll 16
          for (int r = 0; r < kRows; ++r) {
            _mm512_storeu_ps(args.out + (first + r) * args.out_stride + i,
                             _mm512_mul_ps(_mm512_mul_ps(dots[r], w.scale),
                                           _mm512_set1_ps(RowScale(rows[r]))));
          }
        });
  }
}

void Project(const ProjectArgs& args) noexcept {
  args.matrix.low == nullptr ? ProjectRows<false>(args)
                             : ProjectRows<true>(args);
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
    const __m512 unit = _mm512_set1_ps(block.unit[query + h]);
    const __m512 factor = _mm512_set1_ps(block.factor[query + h]);
    float* out = args.state.out +
                 (first_query + query + h) * args.value_elements + column;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512 older = _mm512_mul_ps(_mm512_loadu_ps(out + v * 16), factor);
      _mm512_storeu_ps(
          out + v * 16,
          _mm512_fmadd_ps(unit, _mm512_cvtepi32_ps(sums[h][v]), older));
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

/// One block of queries, from `first` on.
void AttendBlock(const CodedTileArgs& args, int64_t first) {
  const int64_t left = args.queries - first;
  const int queries =
      left < kCodeQueries ? static_cast<int>(left) : kCodeQueries;
  BlockWeights block;
  if (args.q.low == nullptr) {
    ScoreBlock<false>(args, first / kCodeQueries, &block);
  } else {
    ScoreBlock<true>(args, first / kCodeQueries, &block);
  }
  HideScores(args, first, &block);
  UpdateState(args, first, queries, &block);
  // A tile of the values' columns stays in the first-level cache.
  int64_t c = 0;
  for (; c + 16 * kValueVectors <= args.value_elements;
       c += 16 * kValueVectors) {
    AddColumns<kValueVectors>(args, block, first, queries, c);
  }
  for (; c < args.value_elements; c += 16) {
    AddColumns<1>(args, block, first, queries, c);
  }
}

void Attend(const CodedTileArgs& args) noexcept {
  if (args.rows.positions == 0) return;
  for (int64_t first = 0; first < args.queries; first += kCodeQueries) {
    AttendBlock(args, first);
  }
}

}  // namespace

const CodedAttention kCodedAttention = {
    .encode_queries = EncodeQueries,
    .project = Project,
    .pack_values = PackValues,
    .attend = Attend,
};

}  // namespace mlad::avx512
