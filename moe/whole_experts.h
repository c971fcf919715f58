// The down-projection of experts that live on one node each.
#pragma once

#include <cstdint>

#include "moe/feed_forward.h"

namespace mlad {

/// Floats of FeedForwardStep::expert_out for steps of up to `slots` slots: 8
/// MiB, or one panel of rows for every slot if that is more.
int64_t WholeExpertOutFloats(int64_t slots, int64_t hidden_size);

/// output += down of the routed experts, with the same bits as sliced ones
/// give.
///
/// Math    output[t] = fma(weight, down_e act, output[t]), experts ascending
/// Order   a tile of output rows at a time: every node computes the rows of its
///         own experts for all their tokens; then, after a barrier, each worker
///         of all nodes sums some of these rows over the experts
/// NUMA    reads the results of other nodes' experts; weights of its own only
void RunWholeDown(const FeedForwardStep& step, const WorkerContext& worker);

}  // namespace mlad
