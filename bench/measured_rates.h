// Measures what the NUMA model starts from, on this machine.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "bench/kernel_rates.h"
#include "kernels/kernels.h"
#include "quant/kv_type.h"

namespace mlad {

/// One core's rates with these kernels; the calling thread does the work. Some
/// seconds; the best of several passes each. Leaves attention and reading out.
KernelRates MeasureKernels(const KernelTable& kernels, KvType kv_type);

/// Heads that workers share as one in absorbed attention.
int64_t AttentionHeadUnit(const KernelTable& kernels, KvType kv_type);

/// Adds those of absorbed attention.
/// Errors: those of Topology::Create and LatentCache::Create.
absl::Status MeasureAttention(const KernelTable& kernels, KvType kv_type,
                              KernelRates& rates);

/// The kernels, and bandwidths, barriers and clock on resident workers.
/// Errors: those of Topology::Create, Executor::Create, MeasureLimits.
absl::StatusOr<MeasuredRates> MeasureRates(const KernelTable& kernels,
                                           KvType kv_type);

}  // namespace mlad
