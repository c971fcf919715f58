// How vectors and values lie for attention on codes with AVX-512.
#include "kernels/avx512_kernels.h"
#include "kernels/simd_quantize.h"
#include "kernels/vector_avx512.h"

namespace mlad::avx512 {
namespace {

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
  for (int64_t p = 0; p < rows.positions; ++p) scales[p] = rows.Scale(p);
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

/// Columns of one vector, `count` of them at `x`, or zeros where that is null,
/// to where the first of them is; returns their scale.
float EncodePart(const float* x, int64_t count, uint8_t* codes) {
  const float peak = x == nullptr ? 0.0f : PeakMagnitude<Avx512>(x, count);
  const bool has_codes = peak >= kSmallestActivation && peak <= kLargestFinite;
  const __m512i zero = _mm512_set1_epi32(128);
  if (!has_codes) {
    for (int64_t c = 0; c < count; c += 16) {
      StoreCodes(zero, codes + c * kCodeQueries);
    }
    return peak < kSmallestActivation ? 0.0f : __builtin_nanf("");
  }
  const __m512 inverse = _mm512_set1_ps(127.0f / peak);
  for (int64_t c = 0; c < count; c += 16) {
    const __m512i numbers =
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + c), inverse));
    StoreCodes(_mm512_add_epi32(numbers, zero), codes + c * kCodeQueries);
  }
  return peak / 127.0f;
}

}  // namespace

void EncodeQueries(const float* x, int64_t vectors, int64_t columns,
                   int64_t x_stride, const QueryCodes& out) noexcept {
  const bool has_tail = out.tail_scale != nullptr;
  const int64_t tail = has_tail ? out.tail_begin : columns;
  for (int64_t i = 0; i < QueryCodeBlocks(vectors) * kCodeQueries; ++i) {
    const float* row = i < vectors ? x + i * x_stride : nullptr;
    uint8_t* codes = out.codes + i / kCodeQueries * columns * kCodeQueries +
                     i % kCodeQueries * 4;
    out.scale[i] = EncodePart(row, tail, codes);
    if (has_tail) {
      out.tail_scale[i] =
          EncodePart(row == nullptr ? nullptr : row + tail, columns - tail,
                     codes + tail * kCodeQueries);
    }
  }
}

}  // namespace mlad::avx512
