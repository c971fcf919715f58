// What the workers of every node do in one decode step, stage by stage: the
// arithmetic of model/stages.h, without doing it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "bench/kernel_rates.h"
#include "bench/synth_model.h"
#include "bench/synth_shape.h"
#include "numa/executor.h"
#include "numa/placement_plan.h"
#include "numa/work_range.h"
#include "quant/kv_type.h"
#include "quant/packed_matrix.h"

namespace mlad {

inline constexpr double kFloatBytes = sizeof(float);

/// How a layer's attention is laid on the nodes.
enum class AttentionSplit : uint8_t {
  kPositions,      // mlad: a node attends to its own positions, for all heads
  kHeads,          // a node attends for its heads; latents of the others' pages
                   // come over the links
  kHeadsMirrored,  // the same with the whole cache on every node
};

/// One decode step: `batch` sequences with `depth` tokens in the cache each,
/// one more token for each.
struct DecodeCase {
  SynthShape shape;
  SynthTypes types;
  KvType kv_type = KvType::kQ8KV;
  int nodes = 1;
  int workers = 1;  // of each node
  int64_t batch = 1;
  int64_t depth = 0;
  MoePlacement experts = MoePlacement::kSliced;
  AttentionSplit attention = AttentionSplit::kPositions;
};

/// One node's part of a stage. Seconds are of the core that was measured, of
/// the node's busiest worker; expected values where experts are drawn.
struct NodeWork {
  double stream_s = 0;      // kernels over weights and latents from memory
  double compute_s = 0;     // the others
  double near_bytes = 0;    // gathered by that worker from its own node
  double first_bytes = 0;   // ... from the first node, if it is another
  double spread_bytes = 0;  // ... from all other nodes alike
  double memory_bytes = 0;  // read from the node's memory, by all its workers
  double far_memory_bytes = 0;  // ... from memory of all other nodes alike
  // As the engine's counters have it (numa/traffic.h), all workers.
  double local_bytes = 0;
  double remote_bytes = 0;

  NodeWork& operator+=(const NodeWork& other);
};

struct StageWork {
  std::string name;
  std::vector<NodeWork> nodes;           // [nodes]
  int64_t times = 1;                     // in a step
  SyncScope end = SyncScope::kAllNodes;  // whom its barrier makes wait
};

/// All stages of a step; a barrier ends each.
/// Errors: those of SynthTensors and KvRowBytes; kInvalidArgument for a format
/// without measured rate.
absl::StatusOr<std::vector<StageWork>> DecodeWork(const DecodeCase& c,
                                                  const KernelRates& rates);

/// A matrix as the kernels see it.
struct MatrixShape {
  PackedFormat format = PackedFormat::kF32;
  int64_t rows = 0;  // of one expert or head
  int64_t cols = 0;

  int64_t panels() const { return (rows + kPanelRows - 1) / kPanelRows; }
  double panel_bytes() const {
    return static_cast<double>(PanelBytes(format, cols));
  }
};

struct SwiGluShape {
  MatrixShape gate, up, down;
};

/// The matrices of one kind of layer.
struct LayerShape {
  MatrixShape q_a, q, kv_a, k_b, v_b, output;
  MatrixShape router;  // no rows in dense layers
  SwiGluShape expert;  // the same
  SwiGluShape always;  // shared experts or the dense block
};

/// The formats of layer `layer` as a file of these types has them.
absl::StatusOr<LayerShape> ShapeOfLayer(const SynthShape& shape,
                                        const SynthTypes& types, int64_t layer);

/// Bytes of all packed weights, one copy.
absl::StatusOr<double> PackedModelBytes(const SynthShape& shape,
                                        const SynthTypes& types);

// The parts of DecodeWork, each adding its stages.

struct WorkContext {
  const DecodeCase& c;
  const KernelRates& rates;
  int64_t times;  // layers of this kind
  std::vector<StageWork>& stages;

  StageWork& Add(const std::string& name,
                 SyncScope end = SyncScope::kAllNodes) const;
};

void AddAttentionWork(const WorkContext& context, const LayerShape& layer);
void AddFeedForwardWork(const WorkContext& context, const LayerShape& layer);

/// A product whose output rows the nodes share in granules (a panel's or a
/// head's rows), and the panels of a node its workers.
NodeWork ShardedProduct(const WorkContext& context, const MatrixShape& matrix,
                        int64_t granule_rows, int node);

/// Every worker with rows gets `floats` floats per row; `rows` rows are shared
/// by the node's workers, and they live on the first node.
NodeWork RowWork(const WorkContext& context, int node, int64_t rows,
                 int64_t floats, double s_per_float);

}  // namespace mlad
