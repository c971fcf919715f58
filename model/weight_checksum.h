// What packed weights are recognised by.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

#include "model/weights.h"
#include "numa/executor.h"

namespace mlad {

/// One checksum per node over what `jobs` have written, in the order of the
/// jobs; memory between them does not count. Reads with all workers of each
/// node, all nodes at once.
/// Source XXH3, 64 bits
std::vector<uint64_t> ChecksumWeights(absl::Span<const PackJob> jobs,
                                      Executor& executor);

}  // namespace mlad
