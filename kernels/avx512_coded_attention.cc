// Attention on codes with AVX-512 VNNI. Scores have a head in each lane, so
// that four adjacent codes of a row are broadcast from where they are stored;
// outputs have a column in each lane.
#include "kernels/avx512_kernels.h"
#include "kernels/simd_exp.h"
#include "kernels/simd_quantize.h"
#include "kernels/vector_avx512.h"

namespace mlad::avx512 {
namespace {

constexpr int kScoreRows = 8;     // positions whose scores are computed at once
constexpr int kValueHeads = 4;    // heads and vectors of columns whose outputs
constexpr int kValueVectors = 4;  // are
constexpr float kQueryPeak = 32767;
static_assert(kCodeColumns == Avx512::kLanes);
static_assert(kCodeHeads == Avx512::kLanes);

/// What a tile's scores become, a lane for each head of a block.
struct BlockWeights {
  alignas(64) float weights[kMaxCodedPositions][kCodeHeads];
  alignas(64) uint32_t codes[kMaxCodedPositions / kCodePositions][kCodeHeads];
  alignas(64) float unit[kCodeHeads];    // a weight is unit * code
  alignas(64) float factor[kCodeHeads];  // of older output
};

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

/// Scores of kRows positions from `first` on, for the heads of one block.
template <int kRows>
void ScoreRows(const CodedTileArgs& args, int64_t block, int64_t first,
               BlockWeights* out) {
  const int64_t groups = args.rows.row_elements / 4;
  const uint8_t* high = args.q.high + block * groups * 4 * kCodeHeads;
  const uint8_t* low = args.q.low + block * groups * 4 * kCodeHeads;
  const std::byte* rows[kRows];
  __m512i high_sums[kRows];
  __m512i low_sums[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    rows[r] = args.rows.Row(first + r);
    high_sums[r] = low_sums[r] = _mm512_setzero_si512();
  }
  for (int64_t g = 0; g < groups; ++g) {
    const __m512i q_high = _mm512_loadu_si512(high + g * 4 * kCodeHeads);
    const __m512i q_low = _mm512_loadu_si512(low + g * 4 * kCodeHeads);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512i codes =
          BroadcastCodes(rows[r] + CodedRows::kHeaderBytes + 4 * g);
      high_sums[r] = _mm512_dpbusd_epi32(high_sums[r], q_high, codes);
      low_sums[r] = _mm512_dpbusd_epi32(low_sums[r], q_low, codes);
    }
  }
  const __m512 q_scale = _mm512_loadu_ps(args.q.scale + block * kCodeHeads);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    // The high bytes are those of numbers + 128.
    const __m512i exact = _mm512_sub_epi32(
        high_sums[r], _mm512_set1_epi32(128 * RowSum(rows[r])));
    const __m512 dot =
        _mm512_fmadd_ps(_mm512_set1_ps(256.0f), _mm512_cvtepi32_ps(exact),
                        _mm512_cvtepi32_ps(low_sums[r]));
    const __m512 unit = _mm512_set1_ps(RowScale(rows[r]) * args.scale);
    _mm512_store_ps(out->weights[first + r],
                    _mm512_mul_ps(_mm512_mul_ps(dot, q_scale), unit));
  }
}

void ScoreBlock(const CodedTileArgs& args, int64_t block, BlockWeights* out) {
  int64_t p = 0;
  for (; p + kScoreRows <= args.rows.positions; p += kScoreRows) {
    ScoreRows<kScoreRows>(args, block, p, out);
  }
  for (; p + 2 <= args.rows.positions; p += 2) {
    ScoreRows<2>(args, block, p, out);
  }
  if (p < args.rows.positions) ScoreRows<1>(args, block, p, out);
}

/// Scores to weights, the softmax state of the block's first `heads` heads.
void UpdateState(const CodedTileArgs& args, int64_t head, int heads,
                 BlockWeights* block) {
  constexpr float kNone = -__builtin_inff();
  const int64_t positions = args.rows.positions;
  const __m512 old_peak =
      Avx512::LoadFirst(args.state.peak + head, heads, kNone);
  __m512 peak = old_peak;
  for (int64_t p = 0; p < positions; ++p) {
    peak = _mm512_max_ps(peak, _mm512_load_ps(block->weights[p]));
  }
  const __m512 factor = Exp<Avx512>(_mm512_sub_ps(old_peak, peak));
  __m512 sum =
      _mm512_mul_ps(Avx512::LoadFirst(args.state.sum + head, heads), factor);
  __m512 largest = _mm512_setzero_ps();
  for (int64_t p = 0; p < positions; ++p) {
    const __m512 e =
        Exp<Avx512>(_mm512_sub_ps(_mm512_load_ps(block->weights[p]), peak));
    sum = _mm512_add_ps(sum, e);
    const __m512 weight =
        _mm512_mul_ps(e, _mm512_set1_ps(RowScale(args.rows.Row(p))));
    largest = Avx512::LargerMagnitude(largest, weight);
    _mm512_store_ps(block->weights[p], weight);
  }
  Avx512::StoreFirst(args.state.peak + head, heads, peak);
  Avx512::StoreFirst(args.state.sum + head, heads, sum);
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

/// kHeads heads of the block from `head` on, kVectors vectors of columns from
/// `column` on.
template <int kHeads, int kVectors>
void AddValues(const CodedTileArgs& args, const BlockWeights& block,
               int64_t first_head, int head, int64_t column) {
  const int64_t groups =
      (args.rows.positions + kCodePositions - 1) / kCodePositions;
  const int8_t* values = args.values + column * kCodePositions;
  __m512i sums[kHeads][kVectors];
#pragma GCC unroll 4
  for (int h = 0; h < kHeads; ++h) {
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
    for (int h = 0; h < kHeads; ++h) {
      const __m512i weight =
          _mm512_set1_epi32(static_cast<int32_t>(block.codes[g][head + h]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[h][v] = _mm512_dpbusd_epi32(sums[h][v], weight, value[v]);
      }
    }
  }
#pragma GCC unroll 4
  for (int h = 0; h < kHeads; ++h) {
    const __m512 unit = _mm512_set1_ps(block.unit[head + h]);
    const __m512 factor = _mm512_set1_ps(block.factor[head + h]);
    float* out =
        args.state.out + (first_head + head + h) * args.value_elements + column;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const __m512 older = _mm512_mul_ps(_mm512_loadu_ps(out + v * 16), factor);
      _mm512_storeu_ps(
          out + v * 16,
          _mm512_fmadd_ps(unit, _mm512_cvtepi32_ps(sums[h][v]), older));
    }
  }
}

/// All heads of the block, kVectors vectors of columns from `column` on.
template <int kVectors>
void AddColumns(const CodedTileArgs& args, const BlockWeights& block,
                int64_t first_head, int heads, int64_t column) {
  int h = 0;
  for (; h + kValueHeads <= heads; h += kValueHeads) {
    AddValues<kValueHeads, kVectors>(args, block, first_head, h, column);
  }
  for (; h < heads; ++h) {
    AddValues<1, kVectors>(args, block, first_head, h, column);
  }
}

/// 4 x 64 codes of up to four rows to 64 columns of four.
void PackColumns(const __m512i (&rows)[kCodePositions], int8_t* out) {
  const __m512i low01 = _mm512_unpacklo_epi8(rows[0], rows[1]);
  const __m512i high01 = _mm512_unpackhi_epi8(rows[0], rows[1]);
  const __m512i low23 = _mm512_unpacklo_epi8(rows[2], rows[3]);
  const __m512i high23 = _mm512_unpackhi_epi8(rows[2], rows[3]);
  // Quarter k of part j: columns 16 k + 4 j to 16 k + 4 j + 3.
  const __m512i part0 = _mm512_unpacklo_epi16(low01, low23);
  const __m512i part1 = _mm512_unpackhi_epi16(low01, low23);
  const __m512i part2 = _mm512_unpacklo_epi16(high01, high23);
  const __m512i part3 = _mm512_unpackhi_epi16(high01, high23);
  const __m512i front01 = _mm512_shuffle_i32x4(part0, part1, 0x44);
  const __m512i front23 = _mm512_shuffle_i32x4(part2, part3, 0x44);
  const __m512i back01 = _mm512_shuffle_i32x4(part0, part1, 0xEE);
  const __m512i back23 = _mm512_shuffle_i32x4(part2, part3, 0xEE);
  _mm512_storeu_si512(out, _mm512_shuffle_i32x4(front01, front23, 0x88));
  _mm512_storeu_si512(out + 64, _mm512_shuffle_i32x4(front01, front23, 0xDD));
  _mm512_storeu_si512(out + 128, _mm512_shuffle_i32x4(back01, back23, 0x88));
  _mm512_storeu_si512(out + 192, _mm512_shuffle_i32x4(back01, back23, 0xDD));
}

/// 4 x 16 codes to 16 columns of four.
void PackColumns(const __m128i (&rows)[kCodePositions], int8_t* out) {
  const __m128i low01 = _mm_unpacklo_epi8(rows[0], rows[1]);
  const __m128i high01 = _mm_unpackhi_epi8(rows[0], rows[1]);
  const __m128i low23 = _mm_unpacklo_epi8(rows[2], rows[3]);
  const __m128i high23 = _mm_unpackhi_epi8(rows[2], rows[3]);
  auto* to = reinterpret_cast<__m128i*>(out);
  _mm_storeu_si128(to, _mm_unpacklo_epi16(low01, low23));
  _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(low01, low23));
  _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(high01, high23));
  _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(high01, high23));
}

void PackValues(const CodedRows& rows, int64_t value_elements,
                int8_t* out) noexcept {
  for (int64_t p = 0; p < rows.positions; p += kCodePositions) {
    const std::byte* codes[kCodePositions];
    __mmask64 exists[kCodePositions];
    for (int i = 0; i < kCodePositions; ++i) {
      const bool inside = p + i < rows.positions;
      codes[i] = rows.Row(inside ? p + i : p) + CodedRows::kHeaderBytes;
      exists[i] = inside ? ~__mmask64{0} : 0;
    }
    int64_t c = 0;
    for (; c + 64 <= value_elements; c += 64, out += 64 * kCodePositions) {
      __m512i four[kCodePositions];
#pragma GCC unroll 4
      for (int i = 0; i < kCodePositions; ++i) {
        four[i] = _mm512_maskz_loadu_epi8(exists[i], codes[i] + c);
      }
      PackColumns(four, out);
    }
    for (; c < value_elements; c += 16, out += 16 * kCodePositions) {
      __m128i four[kCodePositions];
#pragma GCC unroll 4
      for (int i = 0; i < kCodePositions; ++i) {
        four[i] = _mm_maskz_loadu_epi8(static_cast<__mmask16>(exists[i]),
                                       codes[i] + c);
      }
      PackColumns(four, out);
    }
  }
}

/// Codes of 16 numbers, 4 of each to where the head's are in 4 groups.
void StoreCodes(__m512i codes, uint8_t* high, uint8_t* low) {
  alignas(16) uint32_t bytes[4];
  const auto scatter = [&](__m128i four_groups, uint8_t* out) {
    _mm_store_si128(reinterpret_cast<__m128i*>(bytes), four_groups);
    for (int i = 0; i < 4; ++i) {
      __builtin_memcpy(out + i * 4 * kCodeHeads, &bytes[i], 4);
    }
  };
  scatter(_mm512_cvtepi32_epi8(_mm512_srli_epi32(codes, 8)), high);
  scatter(_mm512_cvtepi32_epi8(codes), low);
}

void EncodeQueries(const float* q, int64_t heads, int64_t row_elements,
                   const QueryCodes& out) noexcept {
  for (int64_t h = 0; h < QueryCodeBlocks(heads) * kCodeHeads; ++h) {
    const float peak =
        h < heads ? PeakMagnitude<Avx512>(q + h * row_elements, row_elements)
                  : 0.0f;
    const bool has_codes =
        peak >= kSmallestActivation && peak <= kLargestFinite;
    out.scale[h] = has_codes                    ? peak / kQueryPeak
                   : peak < kSmallestActivation ? 0.0f
                                                : __builtin_nanf("");
    const __m512 inverse = _mm512_set1_ps(has_codes ? kQueryPeak / peak : 0.0f);
    const int64_t first =
        h / kCodeHeads * row_elements * kCodeHeads + h % kCodeHeads * 4;
    for (int64_t c = 0; c < row_elements; c += 16) {
      const __m512 x = has_codes ? _mm512_loadu_ps(q + h * row_elements + c)
                                 : _mm512_setzero_ps();
      const __m512i codes =
          _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(x, inverse)),
                           _mm512_set1_epi32(32768));
      StoreCodes(codes, out.high + first + c * kCodeHeads,
                 out.low + first + c * kCodeHeads);
    }
  }
}

void Attend(const CodedTileArgs& args) noexcept {
  if (args.rows.positions == 0) return;
  BlockWeights block;
  for (int64_t first = 0; first < args.heads; first += kCodeHeads) {
    const int heads = args.heads - first < kCodeHeads
                          ? static_cast<int>(args.heads - first)
                          : kCodeHeads;
    ScoreBlock(args, first / kCodeHeads, &block);
    UpdateState(args, first, heads, &block);
    // A tile of the values' columns stays in the first-level cache.
    int64_t c = 0;
    for (; c + 16 * kValueVectors <= args.value_elements;
         c += 16 * kValueVectors) {
      AddColumns<kValueVectors>(args, block, first, heads, c);
    }
    for (; c < args.value_elements; c += 16) {
      AddColumns<1>(args, block, first, heads, c);
    }
  }
}

}  // namespace

const CodedAttention kCodedAttention = {
    .encode_queries = EncodeQueries,
    .pack_values = PackValues,
    .attend = Attend,
};

}  // namespace mlad::avx512
