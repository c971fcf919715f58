// Norm, activation function and softmax over a vector type.
#pragma once

#include <cstdint>

#include "kernels/simd_exp.h"

namespace mlad {
namespace {

/// How ForEachVector's body reads and writes whole vectors.
template <class V>
struct WholeVector {
  typename V::Reg Load(const float* p, float /*fill*/ = 0) const {
    return V::Load(p);
  }
  void Store(float* p, typename V::Reg v) const { V::Store(p, v); }
};

/// The same for the last `count` floats of an array.
template <class V>
struct PartOfVector {
  int count;
  typename V::Reg Load(const float* p, float fill = 0) const {
    return V::LoadFirst(p, count, fill);
  }
  void Store(float* p, typename V::Reg v) const { V::StoreFirst(p, count, v); }
};

/// Calls body(access, i) for i = 0, kLanes, 2 kLanes, ... < n, where access
/// loads and stores the elements from i on that exist.
template <class V, class Body>
[[gnu::always_inline]] inline void ForEachVector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) body(WholeVector<V>{}, i);
  if (i < n) body(PartOfVector<V>{static_cast<int>(n - i)}, i);
}

template <class V>
void RmsNorm(const float* x, const float* weight, int64_t n, float epsilon,
             float* out) noexcept {
  constexpr int kSums = 4;  // hides the latency of the additions
  constexpr int64_t kStep = kSums * V::kLanes;
  typename V::Reg sums[kSums] = {V::Zero(), V::Zero(), V::Zero(), V::Zero()};
  const int64_t steps = n / kStep;
  for (int64_t step = 0; step < steps; ++step) {
    for (int j = 0; j < kSums; ++j) {
      const auto v = V::Load(x + step * kStep + j * V::kLanes);
      sums[j] = V::Fma(v, v, sums[j]);
    }
  }
  const float* rest = x + steps * kStep;
  ForEachVector<V>(n - steps * kStep, [&](auto access, int64_t i) {
    const auto v = access.Load(rest + i);
    sums[0] = V::Fma(v, v, sums[0]);
  });
  const auto sum = V::Add(V::Add(sums[0], sums[1]), V::Add(sums[2], sums[3]));
  const float mean = V::Sum(sum) / static_cast<float>(n);
  const auto inverse = V::Div(V::Set(1.0f), V::Sqrt(V::Set(mean + epsilon)));
  ForEachVector<V>(n, [&](auto access, int64_t i) {
    const auto normed = V::Mul(access.Load(x + i), inverse);
    access.Store(out + i, V::Mul(normed, access.Load(weight + i)));
  });
}

template <class V>
void SiluMul(const float* gate, const float* up, int64_t n,
             float* out) noexcept {
  ForEachVector<V>(n, [&](auto access, int64_t i) {
    const auto g = access.Load(gate + i);
    const auto denominator = V::Add(V::Set(1.0f), Exp<V>(V::Sub(V::Zero(), g)));
    access.Store(out + i, V::Mul(V::Div(g, denominator), access.Load(up + i)));
  });
}

template <class V>
void Scale(float* out, int64_t n, float factor) noexcept {
  const auto factors = V::Set(factor);
  ForEachVector<V>(n, [&](auto access, int64_t i) {
    access.Store(out + i, V::Mul(access.Load(out + i), factors));
  });
}

template <class V>
void ScaledAdd(const float* x, int64_t n, float factor, float* out) noexcept {
  const auto factors = V::Set(factor);
  ForEachVector<V>(n, [&](auto access, int64_t i) {
    access.Store(out + i,
                 V::Fma(factors, access.Load(x + i), access.Load(out + i)));
  });
}

template <class V>
float SoftmaxUpdate(float* scores, int64_t n, float* peak,
                    float* sum) noexcept {
  constexpr float kNone = -__builtin_inff();
  auto largest = V::Set(*peak);
  ForEachVector<V>(n, [&](auto access, int64_t i) {
    largest = V::Max(largest, access.Load(scores + i, kNone));
  });
  const float new_peak = V::Largest(largest);
  if (new_peak == kNone) {  // -inf - -inf would be NaN
    ForEachVector<V>(n, [&](auto access, int64_t i) {
      access.Store(scores + i, V::Zero());
    });
    return 1.0f;
  }
  const auto peaks = V::Set(new_peak);
  auto sums = V::Zero();
  ForEachVector<V>(n, [&](auto access, int64_t i) {
    const auto p = Exp<V>(V::Sub(access.Load(scores + i, kNone), peaks));
    access.Store(scores + i, p);
    sums = V::Add(sums, p);
  });
  const float factor = V::FirstLane(Exp<V>(V::Sub(V::Set(*peak), peaks)));
  *sum = *sum * factor + V::Sum(sums);
  *peak = new_peak;
  return factor;
}

}  // namespace
}  // namespace mlad
