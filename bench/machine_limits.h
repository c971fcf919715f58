// What this machine can do at most, measured on the executor's workers.
#pragma once

#include "absl/status/statusor.h"

#include "kernels/kernels.h"
#include "numa/executor.h"
#include "numa/topology.h"

namespace mlad {

/// Of all workers together, each the best of some passes.
struct MachineLimits {
  double read_bytes_per_s = 0;  // every worker reads its own node's memory
  /// KernelTable::peak_int8 and peak_f32: with the instructions that the
  /// chosen kernels may use, not with all that the CPU has.
  double int8_ops_per_s = 0;
  double f32_ops_per_s = 0;

  /// The larger of each.
  MachineLimits& operator|=(const MachineLimits& other);
};

/// Takes the place of the executor's program and leaves none.
/// Errors: kResourceExhausted when there is no room for buffers larger than the
/// caches.
absl::StatusOr<MachineLimits> MeasureLimits(const Topology& topology,
                                            Executor& executor,
                                            const KernelTable& kernels);

}  // namespace mlad
