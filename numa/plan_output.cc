// The placement plan for people and for scripts.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "numa/cpu_list.h"
#include "numa/format_bytes.h"
#include "numa/placement_plan.h"

namespace mlad {
namespace {

constexpr int kBarWidth = 48;
/// A node's list of CPUs is cut to what the table has room for.
constexpr size_t kCpuColumn = 24;

std::string CpuColumn(const NodeDescription& node) {
  std::string cpus = FormatCpuList(node.cpus);
  if (cpus.size() > kCpuColumn) cpus = cpus.substr(0, kCpuColumn - 3) + "...";
  return cpus;
}

std::string Row(absl::string_view node, absl::string_view cpus,
                absl::string_view workers, absl::string_view heads,
                int64_t weights, int64_t kv, int64_t compute) {
  return absl::StrFormat("%-6s %-24s %7s %9s %11s %11s %11s %11s\n", node, cpus,
                         workers, heads, FormatBytes(weights), FormatBytes(kv),
                         FormatBytes(compute),
                         FormatBytes(weights + kv + compute));
}

/// "node 0 |######==+......~| 43% of 378.0 GiB"; without a known size the bar
/// is as long as what is planned.
std::string Bar(const NodePlan& node) {
  const int64_t known = node.description.memory_bytes;
  const int64_t whole =
      std::max<int64_t>(known > 0 ? known : node.used_bytes(), 1);
  std::string bar;
  int64_t end_bytes = 0;
  const auto fill_to = [&](int64_t bytes, char mark) {
    end_bytes += bytes;
    // What is there at all is seen: round up, within the bar.
    const double end =
        static_cast<double>(end_bytes) * kBarWidth / static_cast<double>(whole);
    const size_t at_least = bar.size() + (bytes > 0 ? 1 : 0);
    bar.resize(
        std::min<size_t>(std::max(at_least, static_cast<size_t>(end + 0.5)),
                         kBarWidth),
        mark);
  };
  fill_to(node.weights_bytes, '#');
  fill_to(node.kv_bytes_capacity, '=');
  fill_to(node.compute_bytes, '+');
  if (known > 0) {
    fill_to(
        std::max<int64_t>(known - node.used_bytes() - node.reserved_bytes, 0),
        '.');
    bar.resize(kBarWidth, '~');
  }
  std::string line =
      absl::StrFormat("node %-2d |%s| ", node.description.node, bar);
  if (known > 0) {
    absl::StrAppendFormat(&line, "%.0f%% of %s",
                          100.0 * static_cast<double>(node.used_bytes()) /
                              static_cast<double>(known),
                          FormatBytes(known));
  } else {
    absl::StrAppend(&line, "memory size not stated");
  }
  return line + "\n";
}

nlohmann::ordered_json DescriptionAsJson(const NodeDescription& node) {
  nlohmann::ordered_json row;
  row["node"] = node.node;
  row["os_index"] = node.os_index;
  row["package"] = node.package;
  row["cpus"] = node.cpus;
  row["l3_groups"] = node.l3_groups;
  row["cores"] = node.cores;
  row["hardware_threads"] = node.hardware_threads;
  row["simulated"] = node.simulated;
  row["memory_bytes"] = node.memory_bytes;
  row["memory_bandwidth_mb_s"] = node.bandwidth_mb_s;
  row["memory_latency_ns"] = node.latency_ns;
  row["distances"] = node.distances;
  return row;
}

}  // namespace

std::string PlanAsText(const PlacementPlan& plan) {
  std::string text = absl::StrFormat("%-6s %-24s %7s %9s %11s %11s %11s %11s\n",
                                     "node", "cpus", "workers", "heads",
                                     "weights", "KV cache", "compute", "all");
  for (const NodePlan& node : plan.nodes) {
    const NodeDescription& description = node.description;
    text +=
        Row(absl::StrCat(description.node, description.simulated ? " sim" : ""),
            CpuColumn(description), absl::StrCat(description.cpus.size()),
            node.heads.size() == 0
                ? "-"
                : absl::StrCat(node.heads.begin, "-", node.heads.end - 1),
            node.weights_bytes, node.kv_bytes_capacity, node.compute_bytes);
  }
  text += Row("total", "", "", "", plan.weights_bytes, plan.kv_bytes_capacity,
              plan.compute_bytes);
  text += "\n";
  for (const NodePlan& node : plan.nodes) text += Bar(node);
  absl::StrAppend(&text,
                  "        # weights   = KV cache   + compute   . free   "
                  "~ left to the system\n\n");
  const std::string_view placement = MoePlacementName(plan.experts.placement);
  absl::StrAppend(&text, "context ", plan.context_tokens, " tokens, experts ",
                  absl::string_view(placement.data(), placement.size()));
  if (plan.experts.replicas > 0) {
    absl::StrAppend(&text, ", room for ", plan.experts.replicas,
                    " replicas a layer on every node");
  }
  absl::StrAppend(&text, "\n");
  for (const std::string& note : plan.notes) {
    absl::StrAppend(&text, "note: ", note, "\n");
  }
  return text;
}

std::string PlanAsJson(const PlacementPlan& plan) {
  nlohmann::ordered_json json;
  json["nodes"] = nlohmann::ordered_json::array();
  for (const NodePlan& node : plan.nodes) {
    nlohmann::ordered_json row = DescriptionAsJson(node.description);
    row["reserved_bytes"] = node.reserved_bytes;
    row["heads"] = {node.heads.begin, node.heads.end};
    row["experts"] = node.experts;
    row["weights_bytes"] = node.weights_bytes;
    row["compute_bytes"] = node.compute_bytes;
    row["kv_bytes_used"] = 0;
    row["kv_bytes_capacity"] = node.kv_bytes_capacity;
    row["kv_pages"] = node.kv_pages;
    row["kv_pages_used"] = 0;
    json["nodes"].push_back(row);
  }
  json["kv_bytes_capacity"] = plan.kv_bytes_capacity;
  json["weights_bytes"] = plan.weights_bytes;
  json["compute_bytes"] = plan.compute_bytes;
  json["kv_page_bytes"] = plan.kv_page_bytes;
  json["context_tokens"] = plan.context_tokens;
  json["moe_placement"] = MoePlacementName(plan.experts.placement);
  json["replicated_experts"] = plan.experts.replicas;
  json["notes"] = plan.notes;
  return json.dump();
}

}  // namespace mlad
