// What this machine can do at most, measured on the executor's workers.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

#include "numa/executor.h"
#include "numa/topology.h"

namespace mlad {

/// Bytes per second that all workers together read from their own nodes'
/// memory: the best of some passes over buffers larger than the caches. Takes
/// the place of the executor's program.
/// Errors: kResourceExhausted when there is no room for the buffers.
absl::StatusOr<double> MeasureReadBandwidth(const Topology& topology,
                                            Executor& executor);

}  // namespace mlad
