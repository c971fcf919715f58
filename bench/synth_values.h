// Random weights, directly in a file format's blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/types/span.h"

#include "quant/tensor_type.h"

namespace mlad {

/// Distribution of a tensor's values.
struct SynthDistribution {
  float mean = 0;
  float deviation = 0.02f;
};

/// Fills `out` with elements of one type. Quantised types get random codes and
/// such scales that mean and deviation come out right; their mean is 0, and
/// MXFP4's deviation is right to a factor of sqrt(2). The bytes depend on the
/// type, the distribution and the stream only.
class SynthValues {
 public:
  SynthValues(TensorType type, const SynthDistribution& distribution);

  /// `stream` tells pieces of tensors apart; out.size() is whole blocks.
  void Fill(uint64_t stream, absl::Span<std::byte> out) const;

 private:
  void FillFloats(uint64_t stream, absl::Span<std::byte> out) const;
  void FillBlocks(uint64_t stream, absl::Span<std::byte> out) const;
  void SetScales(absl::Span<std::byte> out, float scale, float minimum) const;
  void Calibrate();

  TensorType type_;
  SynthDistribution distribution_;
  float scale_ = 1;
  float minimum_ = 0;
};

/// A stream for piece `piece` of the tensor called `name`.
uint64_t SynthStream(uint64_t seed, std::string_view name, int64_t piece);

}  // namespace mlad
