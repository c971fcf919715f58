#include "tests/kernels/matmul_reference.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "quant/block_format.h"

namespace mlad::testing {
namespace {

constexpr double kEpsilon = 0x1p-24;

double RelativeTolerance(const PackedMatrix& w) {
  if (!IsBlockFormat(w.format)) {
    return 1.01 * kEpsilon * static_cast<double>(w.cols + 1);
  }
  const BlockFormat& format = GetBlockFormat(w.format);
  const int64_t scales = w.cols / (format.group == 16 ? 16 : kQuantBlock);
  const int64_t terms = scales * (format.has_minimum ? 2 : 1);
  return 1.01 * kEpsilon * static_cast<double>(terms + 3);
}

// [panels * 16, cols]: |scale * value| + |minimum|.
std::vector<float> Magnitudes(const PackedMatrix& w) {
  const BlockFormat& format = GetBlockFormat(w.format);
  const PanelRegions regions = GetPanelRegions(w.format, w.cols);
  std::vector<float> out(w.panels() * kPanelRows * w.cols);
  PanelBlock block;
  for (int64_t p = 0; p < w.panels(); ++p) {
    for (int64_t b = 0; b < w.cols / kQuantBlock; ++b) {
      DecodePanelBlock(format, regions, w.data + p * regions.bytes, b, &block);
      for (int row = 0; row < kPanelRows; ++row) {
        float* to = &out[(p * kPanelRows + row) * w.cols + b * kQuantBlock];
        for (int c = 0; c < kQuantBlock; ++c) {
          to[c] = std::fabs(block.scale[c / 16][row] * block.value[row][c]) +
                  std::fabs(block.minimum[c / 16][row]);
        }
      }
    }
  }
  return out;
}

}  // namespace

MatMulReference::MatMulReference(const PackedMatrix& w, std::vector<double> x)
    : cols_(w.cols),
      x_(std::move(x)),
      weights_(w.rows * w.cols),
      relative_tolerance_(RelativeTolerance(w)) {
  UnpackRows(w, 0, w.rows, weights_.data());
  if (IsBlockFormat(w.format)) {
    magnitudes_ = Magnitudes(w);
  } else {
    magnitudes_ = weights_;
    for (float& value : magnitudes_) value = std::fabs(value);
  }
}

MatMulReference::Value MatMulReference::At(int64_t token, int64_t row) const {
  Value sum;
  for (int64_t c = 0; c < cols_; ++c) {
    const double x = x_[token * cols_ + c];
    sum.dot += weights_[row * cols_ + c] * x;
    sum.magnitude += magnitudes_[row * cols_ + c] * std::fabs(x);
  }
  return sum;
}

}  // namespace mlad::testing
