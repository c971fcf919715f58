// Eight floats in an AVX register: the vector type of the simd_*.h kernels.
// Only for files compiled for AVX2, FMA and F16C.
#pragma once

#include <cstdint>

#include <immintrin.h>

namespace mlad {
namespace {

struct Avx2 {
  using Reg = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kGemmRows = 6;     // register block of a product: 12
  static constexpr int kGemmVectors = 2;  // sums, 2 of b and 1 of a
  static constexpr int kScoreHeads = 4;   // sums of a block of scores: 12
  static constexpr int kScorePositions = 3;
  static constexpr int kFloatPanels = 2;  // tile of a float matmul
  static constexpr int kFloatTokens = 2;

  static Reg Zero() { return _mm256_setzero_ps(); }
  static Reg Set(float value) { return _mm256_set1_ps(value); }
  static Reg Load(const float* p) { return _mm256_loadu_ps(p); }
  static void Store(float* p, Reg v) { _mm256_storeu_ps(p, v); }

  /// The first `count` <= 8 floats; the other lanes are `fill`.
  static Reg LoadFirst(const float* p, int count, float fill = 0) {
    const __m256i mask = First(count);
    return _mm256_blendv_ps(Set(fill), _mm256_maskload_ps(p, mask),
                            _mm256_castsi256_ps(mask));
  }
  static void StoreFirst(float* p, int count, Reg v) {
    _mm256_maskstore_ps(p, First(count), v);
  }

  static Reg Add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static Reg Sub(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static Reg Mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static Reg Div(Reg a, Reg b) { return _mm256_div_ps(a, b); }
  static Reg Fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  /// c - a * b
  static Reg NegativeFma(Reg a, Reg b, Reg c) {
    return _mm256_fnmadd_ps(a, b, c);
  }
  static Reg Sqrt(Reg v) { return _mm256_sqrt_ps(v); }
  static Reg Abs(Reg v) { return _mm256_andnot_ps(Set(-0.0f), v); }
  /// NaN where b is NaN.
  static Reg Min(Reg a, Reg b) { return _mm256_min_ps(a, b); }
  static Reg Max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  /// Nearest integers, ties to even.
  static Reg Round(Reg v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static Reg Floor(Reg v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  /// v * 2^n for whole numbers |n| < 252 and v near 1; subnormal results are
  /// rounded once, because the first of the two steps is exact.
  static Reg ScaleByPowerOf2(Reg v, Reg n) {
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i half = _mm256_srai_epi32(whole, 1);
    return Mul(Mul(v, PowerOf2(half)), PowerOf2(_mm256_sub_epi32(whole, half)));
  }

  static float FirstLane(Reg v) { return _mm256_cvtss_f32(v); }
  static float Sum(Reg v) {
    const __m128 four =
        _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
  static float Largest(Reg v) {
    const __m128 four =
        _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }
  /// The larger of two magnitudes; of a NaN and another, the NaN.
  static Reg LargerMagnitude(Reg a, Reg b) {
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(Abs(a)),
                                                _mm256_castps_si256(Abs(b))));
  }
  static float LargestMagnitude(Reg v) {
    const Reg two = LargerMagnitude(v, _mm256_permute2f128_ps(v, v, 1));
    const Reg four = LargerMagnitude(two, _mm256_permute_ps(two, 0x4E));
    return FirstLane(LargerMagnitude(four, _mm256_permute_ps(four, 0xB1)));
  }

  /// Lane i of the result is the sum over the lanes of v[i]; every v[i] is
  /// summed by the same tree.
  static Reg SumEach(const Reg (&v)[kLanes]) {
    const Reg a = SumEach4(v[0], v[1], v[2], v[3]);
    const Reg b = SumEach4(v[4], v[5], v[6], v[7]);
    return Add(_mm256_permute2f128_ps(a, b, 0x20),
               _mm256_permute2f128_ps(a, b, 0x31));
  }

  static Reg LoadF16(const void* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  }
  static void StoreF16(void* p, Reg v) {
    _mm_storeu_si128(
        static_cast<__m128i*>(p),
        _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  static Reg LoadBf16(const void* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(
        _mm256_cvtepu16_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))),
        16));
  }
  /// Rounds to nearest, ties to even; NaNs are made quiet.
  static void StoreBf16(void* p, Reg v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd =
        _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(
        bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i is_nan =
        _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i result =
        _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
    _mm_storeu_si128(static_cast<__m128i*>(p),
                     _mm_packus_epi32(_mm256_castsi256_si128(result),
                                      _mm256_extracti128_si256(result, 1)));
  }
  static Reg LoadI8(const void* p) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
  }
  static Reg LoadU8(const void* p) {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
  }
  /// Bits [shift, shift + bits) of bytes.
  static Reg LoadBits(const void* p, int shift, int bits) {
    const __m256i bytes =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p)));
    return _mm256_cvtepi32_ps(
        _mm256_and_si256(_mm256_srl_epi32(bytes, _mm_cvtsi32_si128(shift)),
                         _mm256_set1_epi32((1 << bits) - 1)));
  }
  /// 2^(e - 128) of bytes e, subnormal for the smallest two.
  static Reg LoadExponents(const void* p) {
    const __m256i e =
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p)));
    const __m256i one = _mm256_set1_epi32(1);
    return _mm256_castsi256_ps(
        _mm256_blendv_epi8(_mm256_sllv_epi32(_mm256_set1_epi32(1 << 21), e),
                           _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23),
                           _mm256_cmpgt_epi32(e, one)));
  }
  /// Whole numbers of [-128, 127].
  static void StoreI8(void* p, Reg v) {
    const __m256i whole = _mm256_cvtps_epi32(v);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(whole),
                                          _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64(static_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }

 private:
  static __m256i First(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Reg PowerOf2(__m256i n) {
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
  }
  // Both halves: the half's sums of a, b, c and d.
  static Reg SumEach4(Reg a, Reg b, Reg c, Reg d) {
    return _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
  }
};

}  // namespace
}  // namespace mlad
