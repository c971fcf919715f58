// Rates that are nobody's: round numbers for tests of the NUMA model.
#pragma once

#include "bench/kernel_rates.h"
#include "bench/numa_machines.h"

namespace mlad {

/// 10 GB/s of weights and memory a core, everything else a nanosecond or less.
inline MeasuredRates FixedRates() {
  MeasuredRates rates;
  for (const PackedFormat format :
       {PackedFormat::kF32, PackedFormat::kQ8, PackedFormat::kNL4}) {
    rates.core.matmul[format].points = {{1, 1e-10}, {64, 16e-10}};
  }
  rates.core.norm_s_per_float = 2e-10;
  rates.core.quantize_s_per_float = 1e-10;
  rates.core.walk_s_per_position = 1e-8;
  rates.core.absorb_s_per_head_position = 1e-8;
  rates.core.attention_head_unit = 16;
  rates.core.partial_s_per_float = 1e-10;
  rates.core.merge_s_per_float = 1e-10;
  rates.core.store_s_per_latent = 1e-7;
  rates.core.route_s_per_expert = 1e-9;
  rates.core.add_s_per_float = 1e-10;
  rates.core.read_bytes_per_s = 10e9;
  rates.cores = 2;
  rates.memory_bytes_per_s = 20e9;
  rates.clock_hz = 4e9;
  rates.handoff_s = 50e-9;
  rates.node_barrier_s = 200e-9;
  rates.cross_barrier_s = 300e-9;
  return rates;
}

}  // namespace mlad
