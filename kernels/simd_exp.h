// exp over the lanes of a vector type (vector_avx2.h, vector_avx512.h).
#pragma once

namespace mlad {
namespace {

/// e^x by x = n ln 2 + r, |r| <= ln 2 / 2, and e^r = 1 + r + r^2 p(r).
///
/// p is the polynomial of degree 4 with the least relative error of
/// e^r, 3.1e-9. Rounding adds at most one unit in the last place of the two
/// final sums, so the relative error is below 2^-22; subnormal results are
/// rounded once more. Edge   0 for x < -103.98 and -inf, +inf for x > 88.73,
/// NaN for NaN
template <class V>
[[gnu::always_inline]] inline typename V::Reg Exp(typename V::Reg x) {
  // Beyond these the result is 0 or infinity, and n stays within 8 bits.
  x = V::Max(V::Set(-105.0f), V::Min(V::Set(90.0f), x));
  const auto n = V::Round(V::Mul(x, V::Set(0x1.715476p+0f)));  // 1 / ln 2
  auto r = V::Fma(n, V::Set(-0x1.62e0p-1f), x);                // ln 2, upper
  r = V::Fma(n, V::Set(-0x1.0bfbe8p-15f), r);                  // and lower bits
  auto p = V::Set(0x1.6a23d0p-10f);
  p = V::Fma(p, r, V::Set(0x1.123a20p-7f));
  p = V::Fma(p, r, V::Set(0x1.5558f2p-5f));
  p = V::Fma(p, r, V::Set(0x1.555492p-3f));
  p = V::Fma(p, r, V::Set(0x1.fffffcp-2f));
  p = V::Fma(V::Mul(r, r), p, r);
  return V::ScaleByPowerOf2(V::Add(p, V::Set(1.0f)), n);
}

}  // namespace
}  // namespace mlad
