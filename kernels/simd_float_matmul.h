// Matmul of float weights with f32 activations, over a vector type: lanes are
// rows, and every row is summed over the columns in ascending order.
#pragma once

#include <cstdint>

#include "kernels/kernel_contract.h"
#include "kernels/simd_matmul.h"

namespace mlad {
namespace {

template <class Vector, PackedFormat kFormat>
struct FloatMatMul {
  using V = Vector;
  static constexpr int kPanels = V::kFloatPanels;
  static constexpr int kTokens = V::kFloatTokens;

  template <int kPanelCount, int kTokenCount>
  [[gnu::always_inline]] static inline void Dots(
      const MatMulArgs& args, const PanelRegions& /*regions*/,
      MatMulTile<V, kPanelCount, kTokenCount>* tile) {
    constexpr int kRegs = kPanelRows / V::kLanes;
    typename V::Reg sums[kPanelCount][kTokenCount][kRegs];
#pragma GCC unroll 4
    for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) {
#pragma GCC unroll 2
        for (int v = 0; v < kRegs; ++v) sums[p][t][v] = V::Zero();
      }
    }
    const float* x[kTokenCount];
    for (int t = 0; t < kTokenCount; ++t) {
      x[t] = args.x_f32 + tile->x_rows[t] * args.w.cols;
    }
    for (int64_t col = 0; col < args.w.cols; ++col) {
      typename V::Reg x_col[kTokenCount];
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) x_col[t] = V::Set(x[t][col]);
#pragma GCC unroll 4
      for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 2
        for (int v = 0; v < kRegs; ++v) {
          const auto w =
              Load(tile->panels[p], col * kPanelRows + v * V::kLanes);
#pragma GCC unroll 4
          for (int t = 0; t < kTokenCount; ++t) {
            sums[p][t][v] = V::Fma(w, x_col[t], sums[p][t][v]);
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int p = 0; p < kPanelCount; ++p) {
#pragma GCC unroll 4
      for (int t = 0; t < kTokenCount; ++t) {
#pragma GCC unroll 2
        for (int v = 0; v < kRegs; ++v) tile->dots[p][t][v] = sums[p][t][v];
      }
    }
  }

 private:
  // Weights [element, element + kLanes) of a panel.
  static typename V::Reg Load(const std::byte* panel, int64_t element) {
    if constexpr (kFormat == PackedFormat::kF32) {
      return V::Load(reinterpret_cast<const float*>(panel) + element);
    } else if constexpr (kFormat == PackedFormat::kF16) {
      return V::LoadF16(panel + 2 * element);
    } else {
      return V::LoadBf16(panel + 2 * element);
    }
  }
};

}  // namespace
}  // namespace mlad
