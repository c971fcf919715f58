// What this machine can do at most, measured on the executor's workers.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

#include "kernels/kernels.h"
#include "numa/executor.h"
#include "numa/topology.h"

namespace mlad {

/// As the kernel names it, or "an unknown CPU".
std::string CpuName();

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

/// How much is done to measure them.
struct LimitsEffort {
  int64_t bytes_per_node = 512 << 20;  // to read: larger than the caches
  int passes = 5;
  double peak_s = 20e-3;  // of products, in each pass
};

/// Takes the place of the executor's program and leaves none.
/// Errors: kResourceExhausted when there is no room for the buffers.
absl::StatusOr<MachineLimits> MeasureLimits(const Topology& topology,
                                            Executor& executor,
                                            const KernelTable& kernels,
                                            const LimitsEffort& effort = {});

}  // namespace mlad
