// The most products an AVX-512 core can do, see KernelTable::peak_int8.
#include <cstdint>

#include <immintrin.h>

#include "kernels/avx512_kernels.h"

namespace mlad::avx512 {
namespace {

// More sums than products in flight: two a cycle, four cycles each.
constexpr int kSums = 12;

}  // namespace

int64_t PeakInt8(int64_t rounds) noexcept {
  __m512i a = _mm512_set1_epi8(1);
  __m512i b = _mm512_set1_epi8(1);
  __asm__ volatile("" : "+v"(a), "+v"(b));  // the compiler knows no values
  __m512i sums[kSums];
#pragma GCC unroll 12
  for (auto& sum : sums) {
    sum = _mm512_setzero_si512();
    __asm__ volatile("" : "+v"(sum));
  }
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, b);
  }
#pragma GCC unroll 12
  for (auto& sum : sums) __asm__ volatile("" : : "v"(sum));
  return rounds * kSums * 64 * 2;
}

int64_t PeakF32(int64_t rounds) noexcept {
  __m512 a = _mm512_set1_ps(0.5f);
  __m512 b = _mm512_set1_ps(0.5f);
  __asm__ volatile("" : "+v"(a), "+v"(b));
  __m512 sums[kSums];
#pragma GCC unroll 12
  for (auto& sum : sums) {
    sum = _mm512_setzero_ps();
    __asm__ volatile("" : "+v"(sum));
  }
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (auto& sum : sums) sum = _mm512_fmadd_ps(a, b, sum);
  }
#pragma GCC unroll 12
  for (auto& sum : sums) __asm__ volatile("" : : "v"(sum));
  return rounds * kSums * 16 * 2;
}

}  // namespace mlad::avx512
