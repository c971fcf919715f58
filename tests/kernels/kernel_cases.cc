#include "tests/kernels/kernel_cases.h"

#include <algorithm>

namespace mlad::testing {

std::string CaseName(const MatMulCase& c) {
  return std::string(GetTensorType(c.type).name) + " " +
         std::to_string(c.rows) + "x" + std::to_string(c.cols);
}

std::vector<MatMulCase> MatMulTestCases() {
  std::vector<MatMulCase> cases;
  for (TensorType type : AllTensorTypes()) {
    const int64_t unit = std::max(GetTensorType(type).block_elements, 32);
    for (int64_t rows : {1, 16, 17, 50}) {
      for (int64_t blocks : {1, 2, 3}) {
        cases.push_back({type, rows, unit * blocks});
      }
    }
    cases.push_back({type, 33, unit == 32 ? 1056 : 1280});
  }
  return cases;
}

std::vector<MatMulCase> MatMulBenchCases() {
  std::vector<MatMulCase> cases;
  for (TensorType type : AllTensorTypes()) {
    cases.push_back({type, 2048, 2048});  // attention of V2-Lite
    cases.push_back({type, 2048, 7168});  // experts of V3
  }
  return cases;
}

QuantizedRows::QuantizedRows(const KernelTable& kernels,
                             const std::vector<float>& x, int64_t cols,
                             int64_t narrow_rows)
    : blocks_(static_cast<int64_t>(x.size()) / kQuantBlock *
              static_cast<int64_t>(sizeof(ActivationBlock))),
      scales_(x.size() / kQuantBlock),
      sums_(x.size() / kQuantBlock),
      bits_(static_cast<int64_t>(x.size()) / cols) {
  view_ = {reinterpret_cast<ActivationBlock*>(blocks_.data()), scales_.data(),
           sums_.data(), bits_.data()};
  const int64_t row_blocks = cols / kQuantBlock;
  for (int64_t row = 0; row < static_cast<int64_t>(x.size()) / cols; ++row) {
    kernels.quantize_activations(
        x.data() + row * cols, cols,
        row < narrow_rows ? ActivationBits::k8 : ActivationBits::k16,
        {view_.blocks + row * row_blocks, view_.scales + row * row_blocks,
         view_.sums + row * row_blocks, view_.bits + row});
  }
}

std::vector<double> QuantizedRows::Values() const {
  std::vector<double> values;
  for (int64_t b = 0; b < blocks(); ++b) {
    for (int i = 0; i < kQuantBlock; ++i) {
      const int q = 256 * view_.blocks[b].high[i] + view_.blocks[b].low[i];
      values.push_back(static_cast<double>(view_.scales[b]) * q);
    }
  }
  return values;
}

PackedWeights::PackedWeights(Random& random, const MatMulCase& c)
    : PackedWeights(c, RandomTensor(random, c.type, c.rows, c.cols)) {}

PackedWeights::PackedWeights(const MatMulCase& c,
                             const std::vector<std::byte>& source)
    : packed_(PackedBytes(PackedFormatFor(c.type), c.rows, c.cols)) {
  PackRows(c.type, source.data(), c.rows, c.cols, packed_.data());
  matrix_ = {PackedFormatFor(c.type), c.rows, c.cols, packed_.data()};
}

MatMulProblem::MatMulProblem(const KernelTable& kernels, const PackedMatrix& w,
                             const std::vector<float>& x, int64_t narrow_rows)
    : w_(w), x_(x) {
  if (ReadsFloatActivations(w.format)) return;
  quantized_.emplace(kernels, x, w.cols, narrow_rows);
}

MatMulArgs MatMulProblem::Args(float* out, int64_t out_stride) const {
  MatMulArgs args;
  args.w = w_;
  args.panel_end = w_.panels();
  args.tokens = static_cast<int64_t>(x_.size()) / w_.cols;
  args.x_f32 = x_.data();
  if (quantized_.has_value()) args.x_q = quantized_->view();
  args.out = out;
  args.out_stride = out_stride;
  return args;
}

std::vector<double> MatMulProblem::Values() const {
  if (quantized_.has_value()) return quantized_->Values();
  return {x_.begin(), x_.end()};
}

}  // namespace mlad::testing
