#include "numa/placement_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "numa/format_bytes.h"

namespace mlad {
namespace {

/// Left to the kernel and other programs: a part of the node, at most this.
constexpr int64_t kMaxReservedBytes = int64_t{4} << 30;
constexpr int64_t kReservedPart = 32;

constexpr int64_t kMaxContextTokens = int64_t{1} << 32;

bool IsRoutedExpert(const PlannedWeight& weight) {
  return weight.copies > 1 && weight.placement == Placement::kRows;
}

/// Slicing balances every token's work, so it is the choice unless a node would
/// have no slice of some expert at all.
MoePlacement ChoosePlacement(absl::Span<const PlannedWeight> weights,
                             int nodes) {
  for (const PlannedWeight& weight : weights) {
    if (IsRoutedExpert(weight) && weight.granules < nodes &&
        weight.copies >= nodes) {
      return MoePlacement::kWhole;
    }
  }
  return MoePlacement::kSliced;
}

/// Pages that a sequence of `pages` pages needs at most on one node, whichever
/// node its first page is on.
int64_t MostPagesOnANode(int64_t pages, int64_t lanes, int64_t nodes) {
  const auto share = [&](int64_t n) { return (n + nodes - 1) / nodes; };
  if (lanes <= 0) return share(pages);
  return pages / lanes * share(lanes) + share(pages % lanes);
}

NodePlan PlanNode(const PlacementPlan& plan, const Topology& topology,
                  const ModelFootprint& model, int node) {
  const int nodes = topology.node_count();
  NodePlan result;
  result.description = topology.nodes()[node];
  result.heads = SplitEvenly(model.heads, nodes, node);
  for (const PlannedWeight& weight : model.weights) {
    result.weights_bytes +=
        WeightBytesOnNode(weight, plan.experts, nodes, node);
    if (IsRoutedExpert(weight) &&
        plan.experts.placement == MoePlacement::kWhole) {
      result.experts = SplitEvenly(weight.copies, nodes, node).size();
    }
  }
  result.compute_bytes = model.per_node_compute_bytes +
                         (node == 0 ? model.shared_compute_bytes : 0);
  const int64_t pages =
      (plan.context_tokens + model.page_positions - 1) / model.page_positions;
  result.kv_pages = MostPagesOnANode(pages, model.page_lanes, nodes);
  result.kv_bytes_capacity = result.kv_pages * plan.kv_page_bytes;
  result.reserved_bytes = std::min(
      result.description.memory_bytes / kReservedPart, kMaxReservedBytes);
  return result;
}

/// Bytes left, negative when they do not suffice.
int64_t SpareBytes(const NodePlan& node) {
  return node.description.memory_bytes - node.reserved_bytes -
         node.used_bytes();
}

/// The largest context that fits: every node holds 1/nodes of it.
int64_t ContextThatFits(const PlacementPlan& plan,
                        const ModelFootprint& model) {
  int64_t tokens = kMaxContextTokens;
  const int64_t nodes = static_cast<int64_t>(plan.nodes.size());
  for (const NodePlan& node : plan.nodes) {
    if (node.description.memory_bytes == 0) continue;
    const int64_t room = SpareBytes(node) + node.kv_bytes_capacity;
    const int64_t pages = std::max<int64_t>(room, 0) / plan.kv_page_bytes;
    // Each round of lanes may be uneven.
    const int64_t lanes = model.page_lanes;
    const int64_t whole =
        lanes <= 0 ? pages * nodes
                   : pages / MostPagesOnANode(lanes, lanes, nodes) * lanes;
    tokens = std::min(tokens, whole * model.page_positions);
  }
  return tokens;
}

std::string Shortage(const NodePlan& node) {
  const int64_t missing = -SpareBytes(node);
  return absl::StrCat(
      "node ", node.description.node, " is ", missing, " bytes (",
      FormatBytes(missing), ") short: weights ",
      FormatBytes(node.weights_bytes), " + KV cache ",
      FormatBytes(node.kv_bytes_capacity), " + compute ",
      FormatBytes(node.compute_bytes), " in ",
      FormatBytes(node.description.memory_bytes - node.reserved_bytes),
      " of memory");
}

absl::Status CheckThatItFits(const PlacementPlan& plan,
                             const ModelFootprint& model) {
  std::vector<std::string> sentences;
  for (const NodePlan& node : plan.nodes) {
    if (node.description.memory_bytes > 0 && SpareBytes(node) < 0) {
      sentences.push_back(Shortage(node));
    }
  }
  if (sentences.empty()) return absl::OkStatus();
  for (const NodePlan& node : plan.nodes) {
    if (node.description.memory_bytes > 0 && SpareBytes(node) >= 0) {
      sentences.push_back(absl::StrCat("node ", node.description.node, " has ",
                                       FormatBytes(SpareBytes(node)),
                                       " to spare"));
    }
  }
  const int64_t context = ContextThatFits(plan, model);
  sentences.push_back(
      context > 0
          ? absl::StrCat("use a context of at most ", context, " tokens")
          : "use more nodes or a more strongly quantised model");
  return absl::ResourceExhaustedError(absl::StrCat(
      "the model does not fit with a context of ", plan.context_tokens,
      " tokens: ", absl::StrJoin(sentences, "; ")));
}

}  // namespace

absl::StatusOr<MoePlacement> ParseMoePlacement(std::string_view name) {
  for (const MoePlacement placement :
       {MoePlacement::kSliced, MoePlacement::kWhole, MoePlacement::kAuto}) {
    if (name == MoePlacementName(placement)) return placement;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "experts cannot be placed '", absl::string_view(name.data(), name.size()),
      "'; use sliced, whole or auto"));
}

std::string_view MoePlacementName(MoePlacement placement) {
  switch (placement) {
    case MoePlacement::kSliced:
      return "sliced";
    case MoePlacement::kWhole:
      return "whole";
    case MoePlacement::kAuto:
      break;
  }
  return "auto";
}

ExpertPlan ResolveExpertPlan(const ExpertPlan& wanted,
                             absl::Span<const PlannedWeight> weights,
                             int nodes) {
  ExpertPlan plan = wanted;
  if (plan.placement == MoePlacement::kAuto) {
    plan.placement = ChoosePlacement(weights, nodes);
  }
  int64_t elsewhere = 0;  // the fewest experts that are not at home on a node
  for (const PlannedWeight& weight : weights) {
    if (!IsRoutedExpert(weight)) continue;
    elsewhere = weight.copies - SplitEvenly(weight.copies, nodes, 0).size();
  }
  plan.replicas = plan.placement == MoePlacement::kWhole
                      ? std::min(plan.replicas, elsewhere)
                      : 0;
  return plan;
}

int64_t WeightBytesOnNode(const PlannedWeight& weight,
                          const ExpertPlan& experts, int nodes, int node) {
  int64_t granules = weight.granules;
  int64_t copies = weight.copies;
  if (IsRoutedExpert(weight) && experts.placement == MoePlacement::kWhole) {
    copies = SplitEvenly(copies, nodes, node).size() + experts.replicas;
  } else if (weight.placement != Placement::kReplicated) {
    granules = SplitEvenly(granules, nodes, node).size();
  }
  return granules * weight.granule_bytes * copies;
}

absl::StatusOr<PlacementPlan> MakePlacementPlan(const Topology& topology,
                                                const ModelFootprint& model,
                                                int64_t context_tokens) {
  if (context_tokens < 1 || context_tokens > kMaxContextTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("a context of ", context_tokens,
                     " tokens was asked for; use 1 to ", kMaxContextTokens));
  }
  PlacementPlan plan;
  plan.context_tokens = context_tokens;
  plan.kv_page_bytes = model.page_positions * model.layers * model.kv_row_bytes;
  plan.experts =
      ResolveExpertPlan(model.experts, model.weights, topology.node_count());
  for (int n = 0; n < topology.node_count(); ++n) {
    const NodePlan node = PlanNode(plan, topology, model, n);
    plan.weights_bytes += node.weights_bytes;
    plan.compute_bytes += node.compute_bytes;
    plan.kv_bytes_capacity += node.kv_bytes_capacity;
    plan.nodes.push_back(node);
  }
  plan.notes.assign(topology.notes().begin(), topology.notes().end());
  if (absl::Status fits = CheckThatItFits(plan, model); !fits.ok()) return fits;
  return plan;
}

}  // namespace mlad
