#include "model/footprint.h"

#include <algorithm>

#include "attention/latent_cache.h"
#include "base/status.h"
#include "model/step_buffers.h"

namespace mlad {

absl::StatusOr<ModelFootprint> MeasureFootprint(const Hyperparameters& shape,
                                                const WeightLayout& layout,
                                                const StepLimits& limits,
                                                KvType kv_type,
                                                const ExpertPlan& experts,
                                                const Topology& topology) {
  ModelFootprint footprint;
  MLAD_ASSIGN_OR_RETURN(footprint.kv_row_bytes,
                        KvRowBytes(kv_type, shape.latent_row_elements()));
  footprint.weights = layout.planned;
  footprint.experts =
      ResolveExpertPlan(experts, layout.planned, topology.node_count());
  footprint.heads = shape.num_attention_heads;
  footprint.layers = shape.num_hidden_layers;
  footprint.page_positions = kPagePositions;
  footprint.page_lanes = kLanes;
  const StepBufferSizes sizes = MeasureStepBuffers(
      shape, limits, footprint.experts.placement, topology.node_count());
  size_t most_workers = 0;
  for (const NodeDescription& node : topology.nodes()) {
    most_workers = std::max(most_workers, node.cpus.size());
  }
  footprint.shared_compute_bytes = sizes.shared_bytes;
  footprint.per_node_compute_bytes =
      sizes.node_bytes +
      static_cast<int64_t>(most_workers) * sizes.worker_bytes;
  return footprint;
}

}  // namespace mlad
