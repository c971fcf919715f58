// The NUMA model against this machine: what it predicts for a real model file
// here, and what the engine then does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "bench/kernel_rates.h"
#include "bench/synth_model.h"
#include "bench/synth_shape.h"
#include "kernels/kernels.h"
#include "quant/kv_type.h"

namespace mlad {

struct ValidationRow {
  int nodes = 1;  // more than the machine has are simulated
  int64_t batch = 1;
  int64_t depth = 0;
  double measured_tokens_per_s = 0;  // the median of some runs
  double predicted_tokens_per_s = 0;
  double measured_bytes_per_token = 0;  // by the engine's counters
  double predicted_bytes_per_token = 0;
  double measured_barrier_share = 0;  // of the workers' time, at most
  double predicted_barrier_share = 0;

  /// Of the predicted speed, relative to the measured: above 0 it is too high.
  double error() const {
    return predicted_tokens_per_s / measured_tokens_per_s - 1;
  }
};

/// Four layers of DeepSeek-V2-Lite at 4.5 bits per weight.
SynthShape ValidationShape();
SynthTypes ValidationTypes();

/// Makes `path` where it does not exist (1.3 GB), loads it on one node and on
/// two, and generates at several depths over a cache of random latents.
/// Errors: those of WriteSynthFile, Topology, Executor and LoadedModel.
absl::StatusOr<std::vector<ValidationRow>> ValidateModel(
    const std::string& path, const KernelTable& kernels, KvType kv_type,
    const MeasuredRates& measured);

}  // namespace mlad
