// Products of 16 bits with AVX2: one vpmaddwd multiplies 2 columns of 8 rows by
// 2 activations in every lane.
// (vpmaddubsw would need no widening, but its 16-bit sums saturate.)
// Only for files compiled for AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include "kernels/kernel_contract.h"
#include "kernels/simd_quant_format.h"

namespace mlad::avx2 {
namespace {

/// The activations of a block as pairs of 16 bits, as vpmaddwd meets them when
/// the bytes of a group of codes are split into even and odd ones.
struct BlockPairs {
  alignas(32) int32_t even[kBlockGroups];  // columns 4 g and 4 g + 2
  alignas(32) int32_t odd[kBlockGroups];   // columns 4 g + 1 and 4 g + 3

  [[gnu::always_inline]] inline void Load(const ActivationBlock& block) {
    const __m256i high = LoadPlane(block.high);
    const __m256i low = LoadPlane(block.low);
    const __m256i upper_byte = _mm256_set1_epi16(-256);
    Store(_mm256_add_epi16(_mm256_slli_epi16(high, 8), EvenBytes(low)),
          _mm256_add_epi16(_mm256_and_si256(high, upper_byte), OddBytes(low)));
  }
  /// The high plane only.
  [[gnu::always_inline]] inline void LoadHigh(const ActivationBlock& block) {
    const __m256i high = LoadPlane(block.high);
    Store(EvenBytes(high), OddBytes(high));
  }

 private:
  static __m256i LoadPlane(const int8_t* plane) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane));
  }
  static __m256i EvenBytes(__m256i bytes) {
    return _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
  }
  static __m256i OddBytes(__m256i bytes) { return _mm256_srai_epi16(bytes, 8); }
  [[gnu::always_inline]] inline void Store(__m256i of_even, __m256i of_odd) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(even), of_even);
    _mm256_store_si256(reinterpret_cast<__m256i*>(odd), of_odd);
  }
};

/// sum + products of s16 `a` and `b`, two to a lane. The sum as the instruction
/// itself: g++ 12 reassociates sums of integers and spills them.
[[gnu::always_inline]] inline __m256i AddPairs(__m256i sum, __m256i a,
                                               __m256i b) {
  asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(_mm256_madd_epi16(a, b)));
  return sum;
}

}  // namespace
}  // namespace mlad::avx2
