// How vectors and values lie for attention on codes with AVX-512.
#include "kernels/avx512_kernels.h"
#include "kernels/simd_quantize.h"
#include "kernels/vector_avx512.h"

namespace mlad::avx512 {
namespace {

float RowScale(const std::byte* row) {
  float scale;
  __builtin_memcpy(&scale, row, sizeof(scale));
  return scale;
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

}  // namespace

void PackValues(const CodedRows& rows, int64_t value_elements, int8_t* values,
                float* scales) noexcept {
  for (int64_t p = 0; p < rows.positions; ++p)
    scales[p] = RowScale(rows.Row(p));
  for (int64_t p = 0; p < rows.positions; p += kCodePositions) {
    const std::byte* codes[kCodePositions];
    __mmask64 exists[kCodePositions];
    for (int i = 0; i < kCodePositions; ++i) {
      const bool inside = p + i < rows.positions;
      codes[i] = rows.Row(inside ? p + i : p) + CodedRows::kHeaderBytes;
      exists[i] = inside ? ~__mmask64{0} : 0;
    }
    int64_t c = 0;
    for (; c + 64 <= value_elements; c += 64, values += 64 * kCodePositions) {
      __m512i four[kCodePositions];
#pragma GCC unroll 4
      for (int i = 0; i < kCodePositions; ++i) {
        four[i] = _mm512_maskz_loadu_epi8(exists[i], codes[i] + c);
      }
      PackColumns(four, values);
    }
    for (; c < value_elements; c += 16, values += 16 * kCodePositions) {
      __m128i four[kCodePositions];
#pragma GCC unroll 4
      for (int i = 0; i < kCodePositions; ++i) {
        four[i] = _mm_maskz_loadu_epi8(static_cast<__mmask16>(exists[i]),
                                       codes[i] + c);
      }
      PackColumns(four, values);
    }
  }
}

namespace {

/// The low bytes of 16 numbers, 4 of each to where the vector's are in 4
/// groups.
void StoreCodes(__m512i codes, uint8_t* out) {
  alignas(16) uint32_t bytes[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes),
                  _mm512_cvtepi32_epi8(codes));
  for (int i = 0; i < 4; ++i) {
    __builtin_memcpy(out + i * 4 * kCodeQueries, &bytes[i], 4);
  }
}

/// Codes of one vector of a block, which starts at `high` and `low`.
template <bool kWide>
void EncodeVector(const float* x, int64_t columns, float inverse, uint8_t* high,
                  uint8_t* low) {
  for (int64_t c = 0; c < columns; c += 16) {
    const __m512i codes = _mm512_cvtps_epi32(
        _mm512_mul_ps(_mm512_loadu_ps(x + c), _mm512_set1_ps(inverse)));
    if constexpr (kWide) {
      const __m512i all = _mm512_add_epi32(codes, _mm512_set1_epi32(32768));
      StoreCodes(_mm512_srli_epi32(all, 8), high + c * kCodeQueries);
      StoreCodes(all, low + c * kCodeQueries);
    } else {
      StoreCodes(_mm512_add_epi32(codes, _mm512_set1_epi32(128)),
                 high + c * kCodeQueries);
    }
  }
}

/// Codes of a vector of zeros.
void EncodeZeros(int64_t columns, uint8_t* high, uint8_t* low) {
  for (int64_t c = 0; c < columns; c += 16) {
    StoreCodes(_mm512_set1_epi32(128), high + c * kCodeQueries);
    if (low != nullptr) {
      StoreCodes(_mm512_setzero_si512(), low + c * kCodeQueries);
    }
  }
}

}  // namespace

void EncodeQueries(const float* x, int64_t vectors, int64_t columns,
                   int64_t x_stride, const QueryCodes& out) noexcept {
  const bool wide = out.low != nullptr;
  const float largest = wide ? 32767.0f : 127.0f;
  for (int64_t i = 0; i < QueryCodeBlocks(vectors) * kCodeQueries; ++i) {
    const float* row = x + i * x_stride;
    const float peak = i < vectors ? PeakMagnitude<Avx512>(row, columns) : 0.0f;
    const bool has_codes =
        peak >= kSmallestActivation && peak <= kLargestFinite;
    out.scale[i] = has_codes                    ? peak / largest
                   : peak < kSmallestActivation ? 0.0f
                                                : __builtin_nanf("");
    const int64_t first =
        i / kCodeQueries * columns * kCodeQueries + i % kCodeQueries * 4;
    uint8_t* high = out.high + first;
    uint8_t* low = wide ? out.low + first : nullptr;
    if (!has_codes) {
      EncodeZeros(columns, high, low);
    } else if (wide) {
      EncodeVector<true>(row, columns, largest / peak, high, low);
    } else {
      EncodeVector<false>(row, columns, largest / peak, high, low);
    }
  }
}

}  // namespace mlad::avx512
