// What plain code does at most, see KernelTable::peak_int8: the compiler may
// use the vectors that every CPU of the architecture has.
#include <cstdint>

#include "kernels/scalar_kernels.h"

namespace mlad::scalar {
namespace {

constexpr int kLanes = 32;

/// Makes the compiler believe that the array is read and changed.
template <class T>
void Opaque(T (&values)[kLanes]) {
  __asm__ volatile("" : : "r"(values) : "memory");
}

template <class Factor, class Sum>
int64_t Rounds(int64_t rounds) {
  Factor a[kLanes];
  Factor b[kLanes];
  Sum sums[kLanes] = {};
  for (int i = 0; i < kLanes; ++i) a[i] = b[i] = static_cast<Factor>(i % 2);
  Opaque(a);
  Opaque(b);
  for (int64_t r = 0; r < rounds; ++r) {
    for (int i = 0; i < kLanes; ++i) {
      sums[i] += static_cast<Sum>(a[i]) * static_cast<Sum>(b[i]);
    }
    Opaque(sums);
  }
  return rounds * kLanes * 2;
}

}  // namespace

int64_t PeakInt8(int64_t rounds) noexcept {
  return Rounds<int8_t, int32_t>(rounds);
}

int64_t PeakF32(int64_t rounds) noexcept {
  return Rounds<float, float>(rounds);
}

}  // namespace mlad::scalar
