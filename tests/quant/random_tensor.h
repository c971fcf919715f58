// Random tensors of every type, for the tests of packing and of kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "quant/packed_matrix.h"
#include "quant/tensor_type.h"

namespace mlad::testing {

using Random = std::mt19937_64;

/// The tensor types that mlad supports.
const std::vector<TensorType>& AllTensorTypes();

/// `count` normal numbers of mean 0 and the given deviation.
std::vector<float> RandomFloats(Random& random, int64_t count,
                                float deviation = 1.0f);

/// Rows [rows, cols] as a file stores them: all bits of quantised blocks are
/// random but for their scales (d and n), which are normal numbers, or powers
/// of two near such.
std::vector<std::byte> RandomTensor(Random& random, TensorType type,
                                    int64_t rows, int64_t cols,
                                    float deviation = 0.01f);

/// Copies the scales (d and n) of all blocks of a quantised tensor.
void CopyScales(TensorType type, const std::vector<std::byte>& from,
                std::vector<std::byte>& to);

/// Bytes that start at a multiple of 64.
class AlignedBytes {
 public:
  explicit AlignedBytes(int64_t bytes) : lines_((bytes + 63) / 64) {}
  std::byte* data() { return lines_.data()->bytes; }
  const std::byte* data() const { return lines_.data()->bytes; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> lines_;
};

}  // namespace mlad::testing
