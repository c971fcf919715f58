// Sixteen floats in an AVX-512 register: the vector type of the simd_*.h
// kernels. Only for files compiled for AVX-512 F, BW, DQ and VL.
#pragma once

#include <cstdint>

#include <immintrin.h>

namespace mlad {
namespace {

struct Avx512 {
  using Reg = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kGemmRows = 6;     // register block of a product: 24
  static constexpr int kGemmVectors = 4;  // sums, 4 of b and 1 of a
  static constexpr int kScoreHeads = 4;   // sums of a block of scores: 16
  static constexpr int kScorePositions = 4;
  static constexpr int kFloatPanels = 4;  // tile of a float matmul
  static constexpr int kFloatTokens = 4;

  static Reg Zero() { return _mm512_setzero_ps(); }
  static Reg Set(float value) { return _mm512_set1_ps(value); }
  static Reg Load(const float* p) { return _mm512_loadu_ps(p); }
  static void Store(float* p, Reg v) { _mm512_storeu_ps(p, v); }

  /// The first `count` <= 16 floats; the other lanes are `fill`.
  static Reg LoadFirst(const float* p, int count, float fill = 0) {
    return _mm512_mask_loadu_ps(Set(fill), First(count), p);
  }
  static void StoreFirst(float* p, int count, Reg v) {
    _mm512_mask_storeu_ps(p, First(count), v);
  }

  static Reg Add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static Reg Sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static Reg Mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static Reg Div(Reg a, Reg b) { return _mm512_div_ps(a, b); }
  static Reg Fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  /// c - a * b
  static Reg NegativeFma(Reg a, Reg b, Reg c) {
    return _mm512_fnmadd_ps(a, b, c);
  }
  static Reg Sqrt(Reg v) { return _mm512_sqrt_ps(v); }
  static Reg Abs(Reg v) { return _mm512_abs_ps(v); }
  /// NaN where b is NaN.
  static Reg Min(Reg a, Reg b) { return _mm512_min_ps(a, b); }
  static Reg Max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  /// Nearest integers, ties to even.
  static Reg Round(Reg v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT);
  }
  static Reg Floor(Reg v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEG_INF);
  }
  /// v * 2^n for whole numbers n; subnormal results are rounded once.
  static Reg ScaleByPowerOf2(Reg v, Reg n) { return _mm512_scalef_ps(v, n); }

  static float FirstLane(Reg v) { return _mm512_cvtss_f32(v); }
  static float Sum(Reg v) { return _mm512_reduce_add_ps(v); }
  static float Largest(Reg v) { return _mm512_reduce_max_ps(v); }
  /// The larger of two magnitudes; of a NaN and another, the NaN.
  static Reg LargerMagnitude(Reg a, Reg b) {
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(Abs(a)),
                                                _mm512_castps_si512(Abs(b))));
  }
  static float LargestMagnitude(Reg v) {
    return __builtin_bit_cast(
        float, _mm512_reduce_max_epi32(_mm512_castps_si512(Abs(v))));
  }

  /// Lane i of the result is the sum over the lanes of v[i]; every v[i] is
  /// summed by the same tree.
  static Reg SumEach(const Reg (&v)[kLanes]) {
    const Reg v0 = SumEach4(v[0], v[1], v[2], v[3]);
    const Reg v1 = SumEach4(v[4], v[5], v[6], v[7]);
    const Reg v2 = SumEach4(v[8], v[9], v[10], v[11]);
    const Reg v3 = SumEach4(v[12], v[13], v[14], v[15]);
    return AddQuarters(AddQuarters(v0, v1), AddQuarters(v2, v3));
  }

  static Reg LoadF16(const void* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  }
  static void StoreF16(void* p, Reg v) {
    _mm256_storeu_si256(
        static_cast<__m256i*>(p),
        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static Reg LoadBf16(const void* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(
        _mm512_cvtepu16_epi32(
            _mm256_loadu_si256(static_cast<const __m256i*>(p))),
        16));
  }
  /// Rounds to nearest, ties to even; NaNs are made quiet.
  static void StoreBf16(void* p, Reg v) {
    const __m512i bits = _mm512_castps_si512(v);
    const __m512i odd =
        _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(
        bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    const __m512i result =
        _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q),
                             bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256(static_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16)));
  }
  static Reg LoadI8(const void* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
  }
  static Reg LoadU8(const void* p) {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
  }
  /// Bits [shift, shift + bits) of bytes.
  static Reg LoadBits(const void* p, int shift, int bits) {
    const __m512i bytes =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    return _mm512_cvtepi32_ps(
        _mm512_and_si512(_mm512_srl_epi32(bytes, _mm_cvtsi32_si128(shift)),
                         _mm512_set1_epi32((1 << bits) - 1)));
  }
  /// 2^(e - 128) of bytes e, subnormal for the smallest two.
  static Reg LoadExponents(const void* p) {
    const __m512i e =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p)));
    const __m512i one = _mm512_set1_epi32(1);
    return _mm512_castsi512_ps(_mm512_mask_sllv_epi32(
        _mm512_slli_epi32(_mm512_sub_epi32(e, one), 23),
        _mm512_cmple_epi32_mask(e, one), _mm512_set1_epi32(1 << 21), e));
  }
  /// Whole numbers of [-128, 127].
  static void StoreI8(void* p, Reg v) {
    _mm_storeu_si128(static_cast<__m128i*>(p),
                     _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v)));
  }

 private:
  static __mmask16 First(int count) {
    return static_cast<__mmask16>((1u << count) - 1);
  }
  // Every quarter: the quarter's sums of a, b, c and d.
  static Reg SumEach4(Reg a, Reg b, Reg c, Reg d) {
    const Reg ab = Add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const Reg cd = Add(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512d ab_pairs = _mm512_castps_pd(ab);
    const __m512d cd_pairs = _mm512_castps_pd(cd);
    return Add(_mm512_castpd_ps(_mm512_unpacklo_pd(ab_pairs, cd_pairs)),
               _mm512_castpd_ps(_mm512_unpackhi_pd(ab_pairs, cd_pairs)));
  }
  // Quarters a0 + a1, a2 + a3, b0 + b1, b2 + b3.
  static Reg AddQuarters(Reg a, Reg b) {
    return Add(_mm512_shuffle_f32x4(a, b, 0x88),
               _mm512_shuffle_f32x4(a, b, 0xDD));
  }
};

}  // namespace
}  // namespace mlad
