// Predicts decode speed on servers with several NUMA nodes from what one core
// was measured to do and the servers' stated figures.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

#include "bench/decode_work.h"
#include "bench/kernel_rates.h"
#include "bench/numa_machines.h"

namespace mlad {

/// Where weights and cache live.
enum class MemoryLayout : uint8_t {
  kInterleaved,  // pages go round all nodes, wherever they are read
  kMirrored,     // every node reads a copy of its own
  kSliced,       // mlad, experts sliced
  kWhole,        // mlad, experts whole
};
inline constexpr MemoryLayout kAllMemoryLayouts[] = {
    MemoryLayout::kInterleaved, MemoryLayout::kMirrored, MemoryLayout::kSliced,
    MemoryLayout::kWhole};
std::string_view MemoryLayoutName(MemoryLayout layout);

/// One step of a model on some machine.
struct PredictedStep {
  double step_s = 0;
  double tokens_per_s = 0;  // of all sequences together
  // Parts of step_s.
  double kernels_s = 0;
  double gathers_s = 0;
  double barriers_s = 0;
  double attention_s = 0;  // of kernels and gathers: absorb_queries to
                           // finish_heads
  int64_t barriers = 0;
  // Bytes of one step as the engine counts them, all nodes.
  double local_bytes = 0;
  double remote_bytes = 0;
};

struct ModelledStep {
  MemoryLayout layout = MemoryLayout::kSliced;
  AttentionSplit attention = AttentionSplit::kPositions;
  SynthShape shape;
  SynthTypes types;
  KvType kv_type = KvType::kQ8KV;
  int64_t batch = 1;
  int64_t depth = 0;
};

/// Seconds that one barrier (numa/barrier.h) of all workers, or of a node's,
/// takes when all arrive at once: arrivals at a gate follow one another, and
/// everybody leaves it together.
double BarrierSeconds(const NumaMachine& machine, SyncScope scope,
                      const MeasuredRates& measured);

/// A stage ends when its slowest node does; a node is as slow as its busiest
/// worker, its memory or its socket's links. Interleaved and mirrored layouts
/// choose the attention split themselves.
/// Errors: those of DecodeWork.
absl::StatusOr<PredictedStep> PredictStep(const NumaMachine& machine,
                                          const MeasuredRates& measured,
                                          const ModelledStep& step);

/// What the model takes for granted, a sentence each.
std::vector<std::string> ModelAssumptions();

}  // namespace mlad
