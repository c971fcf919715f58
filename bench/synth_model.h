// The metadata and tensors of a synthetic model file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "bench/synth_shape.h"
#include "bench/synth_values.h"
#include "model/gguf_writer.h"
#include "quant/tensor_type.h"

namespace mlad {

struct SynthTypes {
  TensorType matrices = TensorType::kQ8_0;
  TensorType output = TensorType::kQ8_0;
  TensorType embedding = TensorType::kQ8_0;
};

struct SynthTensor {
  std::string name;
  TensorType type = TensorType::kF32;
  std::vector<uint64_t> shape;  // fastest dimension first
  SynthDistribution distribution;

  int64_t bytes() const;
};

/// All tensors, in the order of the file. `split_kv_b`: attn_k_b and attn_v_b
/// instead of attn_kv_b. A tensor whose rows are no multiple of its type's
/// block is Q8_0, much as converters do it.
/// Errors: kInvalidArgument when a row is not a multiple of Q8_0's block.
absl::StatusOr<std::vector<SynthTensor>> SynthTensors(const SynthShape& shape,
                                                      const SynthTypes& types,
                                                      bool split_kv_b);

/// Everything but the tensors: hyperparameters and a byte-level vocabulary.
void AddSynthMetadata(const SynthShape& shape, bool split_kv_b,
                      GgufWriter& writer);

}  // namespace mlad
