// What one core of a machine does in a second, and what waiting costs there.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "quant/packed_matrix.h"

namespace mlad {

/// Seconds that a core needs per byte of a packed matrix that comes from
/// memory, by how many tokens it is multiplied with: points in ascending order
/// of tokens, the first at one token.
struct MatMulRate {
  struct Point {
    int64_t tokens = 1;
    double s_per_byte = 0;
  };
  std::vector<Point> points;

  /// Linear between the points, proportional to tokens beyond the last.
  double At(int64_t tokens) const;
};

/// Of one core with everything else idle.
struct KernelRates {
  std::map<PackedFormat, MatMulRate> matmul;
  double norm_s_per_float = 0;      // rms_norm and quantising of a row
  double quantize_s_per_float = 0;  // of a row that is in the cache
  // Absorbed attention over positions that come from memory: a worker's walk
  // over them, and each of its heads on the walk, in units of so many.
  double walk_s_per_position = 0;
  double absorb_s_per_head_position = 0;
  int64_t attention_head_unit = 1;
  double partial_s_per_float = 0;  // clearing and storing softmax states
  double merge_s_per_float = 0;    // of every lane that is merged
  double store_s_per_latent = 0;   // norm, rotation, encoding
  double route_s_per_expert = 0;   // choosing, then grouping by expert
  double add_s_per_float = 0;      // what whole experts have made
  double read_bytes_per_s = 0;     // reading memory and nothing else

  bool Has(PackedFormat format) const { return matmul.count(format) > 0; }
};

/// Of one machine, everything that the model of other machines starts from.
struct MeasuredRates {
  KernelRates core;
  int cores = 1;
  double memory_bytes_per_s = 0;  // all cores together
  double clock_hz = 0;            // of a busy core
  double handoff_s = 0;           // a cache line from one core to another
  double node_barrier_s = 0;      // all cores as one node
  double cross_barrier_s = 0;     // the cores as two simulated nodes
};

}  // namespace mlad
