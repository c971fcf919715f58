// The most products an AVX2 core can do, see KernelTable::peak_int8.
#include <cstdint>

#include <immintrin.h>

#include "kernels/avx2_kernels.h"

namespace mlad::avx2 {
namespace {

// More sums than products in flight: two a cycle, four cycles each.
constexpr int kSums = 10;

}  // namespace

int64_t PeakInt8(int64_t rounds) noexcept {
  __m256i a = _mm256_set1_epi8(1);
  __m256i b = _mm256_set1_epi8(1);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums[kSums];
#pragma GCC unroll 10
  for (auto& sum : sums) {
    sum = _mm256_setzero_si256();
    __asm__ volatile("" : "+x"(sum));
  }
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 10
    for (auto& sum : sums) {
      __asm__ volatile("" : "+x"(a), "+x"(b));  // each product is made anew
      sum = _mm256_add_epi32(
          sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
    }
  }
#pragma GCC unroll 10
  for (auto& sum : sums) __asm__ volatile("" : : "x"(sum));
  return rounds * kSums * 32 * 2;
}

int64_t PeakF32(int64_t rounds) noexcept {
  __m256 a = _mm256_set1_ps(0.5f);
  __m256 b = _mm256_set1_ps(0.5f);
  __asm__ volatile("" : "+x"(a), "+x"(b));  // the compiler knows no values
  __m256 sums[kSums];
#pragma GCC unroll 10
  for (auto& sum : sums) {
    sum = _mm256_setzero_ps();
    __asm__ volatile("" : "+x"(sum));
  }
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 10
    for (auto& sum : sums) sum = _mm256_fmadd_ps(a, b, sum);
  }
#pragma GCC unroll 10
  for (auto& sum : sums) __asm__ volatile("" : : "x"(sum));
  return rounds * kSums * 8 * 2;
}

}  // namespace mlad::avx2
