#include "tests/moe/sharded_experts.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mlad {

TestToken MakeToken(int64_t index) {
  testing::Random random(static_cast<uint64_t>(index) + 1);
  TestToken token;
  token.x = testing::RandomFloats(random, kHidden);
  token.residual = testing::RandomFloats(random, kHidden);
  const int32_t others[] = {0, 2, 3};
  const int32_t other = others[index % 3];
  token.ids = {1, other};
  if (index % 2 == 1) std::swap(token.ids[0], token.ids[1]);
  token.weights = {0.75f, 0.3f};
  return token;
}

ActivationBuffer::ActivationBuffer(int64_t rows, int64_t cols)
    : f32_(rows * cols),
      scales_(rows * cols / kQuantBlock),
      sums_(rows * cols / kQuantBlock),
      bits_(rows),
      blocks_(rows * cols / kQuantBlock *
              static_cast<int64_t>(sizeof(ActivationBlock))) {
  view = {cols,
          f32_.data(),
          {reinterpret_cast<ActivationBlock*>(blocks_.data()), scales_.data(),
           sums_.data(), bits_.data()}};
}

TestExperts::TestExperts(TensorType type, Layer layer) : type_(type) {
  testing::Random random(42);
  if (layer != Layer::kDense) {
    for (int64_t e = 0; e < kExperts; ++e) {
      experts_.push_back(MakeBlock(random, kExpertFfn));
    }
  }
  if (layer != Layer::kRouted) {
    always_.push_back(MakeBlock(random, kAlwaysFfn));
  }
}

TestExperts::Matrix TestExperts::MakeMatrix(testing::Random& random,
                                            int64_t rows, int64_t cols) const {
  const std::vector<std::byte> tensor =
      testing::RandomTensor(random, type_, rows, cols, 0.01f);
  const PackedFormat format = PackedFormatFor(type_);
  Matrix matrix = {rows, cols,
                   testing::AlignedBytes(PackedBytes(format, rows, cols)),
                   std::vector<float>(rows * cols)};
  PackRows(type_, tensor.data(), rows, cols, matrix.packed.data());
  UnpackRows({format, rows, cols, matrix.packed.data()}, 0, rows,
             matrix.values.data());
  return matrix;
}

TestExperts::Block TestExperts::MakeBlock(testing::Random& random,
                                          int64_t ffn) const {
  Matrix gate = MakeMatrix(random, ffn, kHidden);
  Matrix up = MakeMatrix(random, ffn, kHidden);
  return {std::move(gate), std::move(up), MakeMatrix(random, kHidden, ffn)};
}

ShardedMatrix TestExperts::ShardMatrix(const Matrix& matrix, int nodes) const {
  const PackedMatrix whole = {PackedFormatFor(type_), matrix.rows, matrix.cols,
                              matrix.packed.data()};
  ShardedMatrix sharded = {matrix.rows, matrix.cols, {}};
  for (int node = 0; node < nodes; ++node) {
    const WorkRange panels = SplitEvenly(whole.panels(), nodes, node);
    PackedMatrix part = whole;
    part.rows = panels.size() * kPanelRows;
    part.data += panels.begin * PanelBytes(whole.format, whole.cols);
    sharded.shards.push_back({panels.begin * kPanelRows, part});
  }
  return sharded;
}

SwiGlu TestExperts::ShardBlock(const Block& block, int nodes) const {
  return {ShardMatrix(block.gate, nodes), ShardMatrix(block.up, nodes),
          ShardMatrix(block.down, nodes)};
}

FeedForwardWeights TestExperts::Shard(int nodes) const {
  FeedForwardWeights weights;
  for (const Block& expert : experts_) {
    weights.experts.push_back(ShardBlock(expert, nodes));
  }
  if (!always_.empty()) weights.always = ShardBlock(always_[0], nodes);
  return weights;
}

namespace {

/// A number, and by how much what is computed in floats may differ from it.
struct Bounded {
  double value = 0, error = 0;
};

/// A dot product of `count` floats that carry errors. Float sums of n products
/// are off by n units of 2^-24 of the sum of magnitudes, whatever their order;
/// quantised activations by `quantization` of the largest one.
Bounded Dot(const float* w, const std::vector<Bounded>& x,
            double quantization) {
  double magnitude = 0, w_sum = 0, peak = 0;
  Bounded dot;
  for (size_t i = 0; i < x.size(); ++i) {
    dot.value += w[i] * x[i].value;
    dot.error += std::abs(w[i]) * x[i].error;
    magnitude += std::abs(w[i] * x[i].value);
    w_sum += std::abs(w[i]);
    peak = std::max(peak, std::abs(x[i].value));
  }
  // Of block formats: a scale is rounded, products of scales are rounded.
  dot.error += (static_cast<double>(x.size()) + 4) * 0x1p-24 * magnitude +
               quantization * peak * w_sum;
  return dot;
}

/// silu(gate) * up; the slope of silu is below 1.1.
Bounded GatedUnit(Bounded gate, Bounded up) {
  const double silu = gate.value / (1 + std::exp(-gate.value));
  Bounded result;
  result.value = silu * up.value;
  result.error = 1.1 * gate.error * (std::abs(up.value) + up.error) +
                 std::abs(silu) * up.error +
                 // exponential, sum, quotient, product
                 8 * 0x1p-24 * std::abs(result.value);
  return result;
}

}  // namespace

// Half a step of quantised activations, and what rounding adds to half: below
// 2^-7, as a step count goes to kActivationPeak < 2^15 in three roundings.
double TestExperts::QuantizationError() const {
  return ReadsFloatActivations(PackedFormatFor(type_))
             ? 0
             : (0.5 + 0x1p-7) / kActivationPeak;
}

void TestExperts::AddBlock(const Block& block, const std::vector<float>& x,
                           double weight, ExactOutput& output) const {
  std::vector<Bounded> input;
  for (const float value : x) input.push_back({value, 0});
  std::vector<Bounded> act;
  for (int64_t f = 0; f < block.gate.rows; ++f) {
    const size_t row = f * kHidden;
    act.push_back(
        GatedUnit(Dot(&block.gate.values[row], input, QuantizationError()),
                  Dot(&block.up.values[row], input, QuantizationError())));
  }
  for (int64_t r = 0; r < kHidden; ++r) {
    const Bounded dot =
        Dot(&block.down.values[r * block.down.cols], act, QuantizationError());
    output.out[r] += weight * dot.value;
    // The product or sum is rounded, and so is every later sum with it.
    output.bound[r] +=
        weight * dot.error +
        4 * 0x1p-24 * (std::abs(weight * dot.value) + std::abs(output.out[r]));
  }
}

ExactOutput TestExperts::Exact(const TestToken& token) const {
  ExactOutput output;
  output.out.assign(token.residual.begin(), token.residual.end());
  output.bound.assign(kHidden, 0);
  if (!experts_.empty()) {
    for (int64_t k = 0; k < kChosen; ++k) {
      AddBlock(experts_[token.ids[k]], token.x, token.weights[k], output);
    }
  }
  for (const Block& block : always_) AddBlock(block, token.x, 1, output);
  return output;
}

}  // namespace mlad
