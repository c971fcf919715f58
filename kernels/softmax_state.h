// The state of online softmax: part of the kernels' contract
// (kernel_contract.h).
#pragma once

namespace mlad {

/// Online-softmax state of `heads` heads over the positions seen so far:
/// peak [heads] largest score, -inf when none; sum [heads] of exp(s - peak);
/// out [heads, value_elements] sum of exp(s - peak) * value.
struct SoftmaxState {
  float* peak = nullptr;
  float* sum = nullptr;
  float* out = nullptr;
};

}  // namespace mlad
