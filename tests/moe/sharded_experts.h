// A feed-forward layer with random weights, split over nodes, and what it
// computes by definition, in double precision.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/quant/random_tensor.h"

#include "kernels/activations.h"
#include "moe/feed_forward.h"
#include "quant/tensor_type.h"

namespace mlad {

inline constexpr int64_t kHidden = 96;  // 6 panels: uneven over 4 and 8 nodes
inline constexpr int64_t kExpertFfn = 160;
inline constexpr int64_t kAlwaysFfn = 64;
inline constexpr int64_t kExperts = 5;
inline constexpr int64_t kChosen = 2;

enum class Layer : uint8_t { kRouted, kRoutedAndShared, kDense };

/// A token with its routing; the same for the same index. Expert 1 gets every
/// token, expert 4 none.
struct TestToken {
  std::vector<float> x, residual;  // [kHidden]
  std::vector<int32_t> ids;        // [kChosen]
  std::vector<float> weights;
};
TestToken MakeToken(int64_t index);

/// Rows of activations in both forms.
class ActivationBuffer {
 public:
  ActivationBuffer(int64_t rows, int64_t cols);
  Activations view;

 private:
  std::vector<float> f32_, scales_;
  std::vector<ActivationSums> sums_;
  std::vector<ActivationBits> bits_;
  testing::AlignedBytes blocks_;
};

struct ExactOutput {
  std::vector<double> out, bound;  // [kHidden]
};

class TestExperts {
 public:
  TestExperts(TensorType type, Layer layer);

  /// Rows split by panels over the nodes; points into this object.
  FeedForwardWeights Shard(int nodes) const;
  ExactOutput Exact(const TestToken& token) const;

 private:
  struct Matrix {
    int64_t rows, cols;
    testing::AlignedBytes packed;
    std::vector<float> values;  // [rows, cols], exactly what is packed
  };
  struct Block {
    Matrix gate, up, down;
  };

  Matrix MakeMatrix(testing::Random& random, int64_t rows, int64_t cols) const;
  Block MakeBlock(testing::Random& random, int64_t ffn) const;
  ShardedMatrix ShardMatrix(const Matrix& matrix, int nodes) const;
  SwiGlu ShardBlock(const Block& block, int nodes) const;
  void AddBlock(const Block& block, const std::vector<float>& x, double weight,
                ExactOutput& output) const;
  double QuantizationError() const;

  TensorType type_;
  std::vector<Block> experts_;
  std::vector<Block> always_;  // none or one
};

}  // namespace mlad
