// The placement plan: what every node owns, decided before anything is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "numa/topology.h"
#include "numa/work_range.h"

namespace mlad {

/// How a weight is laid on the nodes.
enum class Placement : uint8_t {
  kRows,        // output rows split over the nodes (granule: a panel of 16)
  kHeads,       // granule: one attention head
  kReplicated,  // small vectors (norms): a copy on every node
};

/// How experts are laid on the nodes.
enum class MoePlacement : uint8_t {
  kSliced,  // every expert's rows are split over all nodes
  kWhole,   // an expert lives on one node, see ExpertHome
  kAuto,    // the plan chooses
};

/// "sliced", "whole", "auto". Errors: kInvalidArgument naming them.
absl::StatusOr<MoePlacement> ParseMoePlacement(std::string_view name);
std::string_view MoePlacementName(MoePlacement placement);

/// How the routed experts are laid on the nodes.
struct ExpertPlan {
  MoePlacement placement = MoePlacement::kSliced;
  /// kWhole: room on every node for replicas of that many experts of each
  /// layer whose home is another node.
  int64_t replicas = 0;
};

/// The node of an expert placed whole. Neighbours go to different nodes:
/// routers choose groups of neighbouring experts.
inline int ExpertHome(int64_t expert, int nodes) {
  return static_cast<int>(expert % nodes);
}

/// One weight of the model, as far as planning cares.
struct PlannedWeight {
  std::string name;
  Placement placement = Placement::kRows;
  int64_t granules = 0;       // panels or heads; 1 for kReplicated
  int64_t granule_bytes = 0;  // packed
  int64_t copies = 1;         // routed experts, kRows each: MoePlacement holds
};

/// What the plan needs to know of the model.
struct ModelFootprint {
  std::vector<PlannedWeight> weights;
  int64_t heads = 0;
  int64_t layers = 0;
  int64_t kv_row_bytes = 0;    // one token, one layer
  int64_t page_positions = 0;  // tokens per latent page
  int64_t page_lanes = 0;      // pages go round the nodes, and begin anew after
                               // this many; 0: they never do
  int64_t shared_compute_bytes = 0;    // buffers on node 0
  int64_t per_node_compute_bytes = 0;  // buffers on every node
  ExpertPlan experts;
};

struct NodePlan {
  NodeDescription description;
  WorkRange heads;
  int64_t experts = 0;  // routed experts per layer that live here whole
  int64_t weights_bytes = 0;
  int64_t compute_bytes = 0;
  int64_t kv_pages = 0;
  int64_t kv_bytes_capacity = 0;
  int64_t reserved_bytes = 0;  // left to the system; 0: memory is not known

  int64_t used_bytes() const {
    return weights_bytes + compute_bytes + kv_bytes_capacity;
  }
};

struct PlacementPlan {
  std::vector<NodePlan> nodes;
  /// Sentences about what of the machine is not used or is simulated.
  std::vector<std::string> notes;
  int64_t weights_bytes = 0;
  int64_t compute_bytes = 0;
  int64_t kv_bytes_capacity = 0;
  int64_t kv_page_bytes = 0;
  int64_t context_tokens = 0;
  ExpertPlan experts;  // placement is never kAuto
};

/// Lays the model on the nodes with cache for `context_tokens` tokens.
/// Errors: kResourceExhausted when a node's memory cannot hold its part; the
/// sentence says which nodes, how many bytes are missing, and what would fit.
/// kInvalidArgument when context_tokens is out of range.
absl::StatusOr<PlacementPlan> MakePlacementPlan(const Topology& topology,
                                                const ModelFootprint& model,
                                                int64_t context_tokens);

/// The bytes of `weight` that live on `node` of `nodes`, room for replicas
/// among them.
int64_t WeightBytesOnNode(const PlannedWeight& weight,
                          const ExpertPlan& experts, int nodes, int node);

/// `wanted` as it can be laid on `nodes` nodes: kAuto is decided, replicas are
/// at most what other nodes are home to, none unless experts are whole.
ExpertPlan ResolveExpertPlan(const ExpertPlan& wanted,
                             absl::Span<const PlannedWeight> weights,
                             int nodes);

/// For people: a table of the nodes and a picture of their memory.
std::string PlanAsText(const PlacementPlan& plan);
/// DESIGN section 7: {"nodes": [...], "kv_bytes_capacity", "weights_bytes",
/// ...}
std::string PlanAsJson(const PlacementPlan& plan);

}  // namespace mlad
