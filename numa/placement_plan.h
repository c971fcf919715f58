// The placement plan: what every node owns, decided before anything is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "numa/executor.h"
#include "numa/topology.h"

namespace mlad {

/// How a weight is laid on the nodes.
enum class Placement : uint8_t {
  kRows,        // output rows split over the nodes (granule: a panel of 16)
  kHeads,       // granule: one attention head
  kReplicated,  // small vectors (norms): a copy on every node
};

/// One weight of the model, as far as planning cares.
struct PlannedWeight {
  std::string name;
  Placement placement = Placement::kRows;
  int64_t granules = 0;       // panels or heads; 1 for kReplicated
  int64_t granule_bytes = 0;  // packed
  int64_t copies = 1;         // experts: each is split in the same way
};

/// What the plan needs to know of the model.
struct ModelFootprint {
  std::vector<PlannedWeight> weights;
  int64_t heads = 0;
  int64_t layers = 0;
  int64_t kv_row_bytes = 0;       // one token, one layer
  int64_t page_positions = 0;     // tokens per latent page
  int64_t shared_compute_bytes = 0;    // buffers on node 0
  int64_t per_node_compute_bytes = 0;  // buffers on every node
};

struct NodePlan {
  NodeDescription description;
  WorkRange heads;
  int64_t weights_bytes = 0;
  int64_t compute_bytes = 0;
  int64_t kv_pages = 0;
  int64_t kv_bytes_capacity = 0;
};

struct PlacementPlan {
  std::vector<NodePlan> nodes;
  int64_t weights_bytes = 0;
  int64_t compute_bytes = 0;
  int64_t kv_bytes_capacity = 0;
  int64_t kv_page_bytes = 0;
  int64_t context_tokens = 0;
};

/// Lays the model on the nodes with cache for `context_tokens` tokens.
/// Errors: kResourceExhausted when a node's memory cannot hold its part; the
/// sentence says which node and how many bytes are missing.
absl::StatusOr<PlacementPlan> MakePlacementPlan(const Topology& topology,
                                                const ModelFootprint& model,
                                                int64_t context_tokens);

/// For people: a table of the nodes.
std::string PlanAsText(const PlacementPlan& plan);
/// DESIGN section 7: {"nodes": [...], "kv_bytes_capacity", "weights_bytes", ...}
std::string PlanAsJson(const PlacementPlan& plan);

}  // namespace mlad
