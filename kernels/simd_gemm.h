// The f32 matrix product over a vector type.
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"

namespace mlad {
namespace {

/// How many columns of the product a tile covers: whole vectors of them, or
/// (kVectors = 1) the first `count` lanes of one.
template <class V, bool kPart>
struct GemmColumns {
  int count = V::kLanes;
  typename V::Reg Load(const float* p) const {
    return kPart ? V::LoadFirst(p, count) : V::Load(p);
  }
  void Store(float* p, typename V::Reg v) const {
    kPart ? V::StoreFirst(p, count, v) : V::Store(p, v);
  }
};

/// One tile of c, held in registers: kRows x kVectors sums over k.
template <class V, int kRows, int kVectors, bool kPart>
[[gnu::noinline]] void GemmTile(const GemmArgs& args, int64_t row, int64_t col,
                                GemmColumns<V, kPart> columns) {
  typename V::Reg sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[r][v] = V::Zero();
  }
  const float* a = args.a + row * args.lda;
  const float* b = args.b + col;
  for (int64_t k = 0; k < args.k; ++k, ++a, b += args.ldb) {
    typename V::Reg b_row[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      b_row[v] = columns.Load(b + v * V::kLanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto a_row = V::Set(a[r * args.lda]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = V::Fma(a_row, b_row[v], sums[r][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    float* c = args.c + (row + r) * args.ldc + col;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      float* out = c + v * V::kLanes;
      const auto sum = sums[r][v];
      columns.Store(out,
                    args.accumulate ? V::Add(columns.Load(out), sum) : sum);
    }
  }
}

/// The last rows, fewer than or as many as kRows.
template <class V, int kRows, int kVectors, bool kPart>
void GemmLastRows(const GemmArgs& args, int64_t row, int64_t col,
                  GemmColumns<V, kPart> columns) {
  if constexpr (kRows > 0) {
    if (args.m - row == kRows) {
      GemmTile<V, kRows, kVectors>(args, row, col, columns);
    } else {
      GemmLastRows<V, kRows - 1, kVectors>(args, row, col, columns);
    }
  }
}

/// All rows of the columns that start at `col`.
template <class V, int kVectors, bool kPart>
void GemmPanel(const GemmArgs& args, int64_t col,
               GemmColumns<V, kPart> columns) {
  int64_t row = 0;
  for (; row + V::kGemmRows < args.m; row += V::kGemmRows) {
    GemmTile<V, V::kGemmRows, kVectors>(args, row, col, columns);
  }
  GemmLastRows<V, V::kGemmRows, kVectors>(args, row, col, columns);
}

template <class V>
void Gemm(const GemmArgs& args) noexcept {
  constexpr int64_t kPanel = V::kGemmVectors * V::kLanes;
  const GemmColumns<V, false> whole;
  int64_t col = 0;
  for (; col + kPanel <= args.n; col += kPanel) {
    GemmPanel<V, V::kGemmVectors>(args, col, whole);
  }
  for (; col + V::kLanes <= args.n; col += V::kLanes) {
    GemmPanel<V, 1>(args, col, whole);
  }
  if (col < args.n) {
    const GemmColumns<V, true> part{static_cast<int>(args.n - col)};
    GemmPanel<V, 1>(args, col, part);
  }
}

}  // namespace
}  // namespace mlad
