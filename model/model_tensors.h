// The tensors of a deepseek2 model: which there must be, and their shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "model/gguf_file.h"
#include "model/hyperparameters.h"

namespace mlad {

struct ModelTensor {
  std::string name;
  std::vector<int64_t> shape;  // fastest dimension first
  /// May also come with its last two dimensions joined.
  bool may_be_flat = false;
};

/// Every tensor that the forward pass reads; exp_probs_b.bias in all expert
/// layers when the file has one.
std::vector<ModelTensor> ListModelTensors(const GgufFile& file,
                                          const Hyperparameters& shape);

/// Checks that these tensors exist with their shapes, that vectors are floats
/// and that rows have whole blocks of kQuantBlock columns; and that the file
/// has no further tensors, whose meaning would be lost. Errors:
/// kInvalidArgument for missing tensors and wrong shapes; kUnimplemented for
/// what mlad does not compute; both name the tensor.
absl::Status CheckModelTensors(const GgufFile& file,
                               const Hyperparameters& shape);

}  // namespace mlad
