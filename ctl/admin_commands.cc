#include <iostream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status.h"
#include "ctl/commands.h"
#include "ctl/exit_status.h"
#include "ctl/json_output.h"
#include "ctl/session.h"
#include "ctl/table.h"

namespace mlad {
namespace {

std::string Percent(double share) {
  return absl::StrFormat("%.1f%%", 100 * share);
}

/// "0-3,8"
std::string CpuList(const google::protobuf::RepeatedField<int32_t>& cpus) {
  std::string text;
  for (int i = 0; i < cpus.size();) {
    int end = i;
    while (end + 1 < cpus.size() && cpus[end + 1] == cpus[end] + 1) ++end;
    absl::StrAppend(&text, i == 0 ? "" : ",", cpus[i]);
    if (end > i) absl::StrAppend(&text, "-", cpus[end]);
    i = end + 1;
  }
  return text;
}

std::string NodeName(int node, bool simulated) {
  return absl::StrCat(node, simulated ? " (simulated)" : "");
}

std::string GapBound(const v1::EngineStats& engine) {
  if (engine.max_token_gap_ms() == 0) return "";
  return absl::StrFormat("; %d later than the bound of %.0f ms",
                         engine.late_tokens(), engine.max_token_gap_ms());
}

std::string StatsAsText(const v1::Stats& stats, const Colours& colours) {
  Table table({"node", "cpus", "weights", "KV used", "KV capacity", "pages",
               "tokens/s", "local read", "remote read", "busy", "barriers",
               "misplaced pages"});
  for (const v1::NodeStats& node : stats.nodes()) {
    table.Add({NodeName(node.node(), node.simulated()), CpuList(node.cpus()),
               HumanBytes(node.weights_bytes()),
               HumanBytes(node.kv_bytes_used()),
               HumanBytes(node.kv_bytes_capacity()),
               absl::StrCat(node.kv_pages_used()),
               absl::StrFormat("%.1f", node.tokens_per_s()),
               HumanBytes(node.local_bytes()), HumanBytes(node.remote_bytes()),
               Percent(node.busy_share()), Percent(node.barrier_share()),
               absl::StrCat(node.misplaced_pages())});
  }
  const v1::EngineStats& engine = stats.engine();
  std::string text = absl::StrFormat(
      "%s for %.0f s; weights %s, compute %s, KV %s of %s\n",
      StateName(stats.state()), stats.uptime_s(),
      HumanBytes(stats.weights_bytes()), HumanBytes(stats.compute_bytes()),
      HumanBytes(stats.kv_bytes_used()), HumanBytes(stats.kv_bytes_capacity()));
  if (stats.state() == v1::SERVING_STATE_LOADING) {
    absl::StrAppend(&text, "loaded ", Percent(stats.load_fraction()), "\n");
  }
  absl::StrAppend(
      &text,
      absl::StrFormat("requests: %d of %d running, %d of %d queued, %d "
                      "paused, of %d clients; a new one waits %.1f s\n",
                      engine.running(), engine.max_running(), engine.queued(),
                      engine.max_queued(), engine.paused(), engine.clients(),
                      engine.expected_wait_ms() / 1000),
      absl::StrFormat(
          "  %d in all, %d failed (%d refused by the queue, %d past "
          "their deadline), %d cancelled\n",
          engine.requests(), engine.failed(), engine.refused(),
          engine.expired(), engine.cancelled()),
      absl::StrFormat("tokens: %d read (%.0f/s), %d generated (%.1f/s) in %d "
                      "steps\n",
                      engine.prompt_tokens(), engine.prompt_tokens_per_s(),
                      engine.completion_tokens(), engine.tokens_per_s(),
                      engine.steps()),
      absl::StrFormat("cache: %d tokens found (%s of what was asked), %d pages "
                      "kept for later, %d evicted, %d preemptions\n",
                      engine.cached_tokens(), Percent(engine.cache_hit_rate()),
                      engine.cached_pages(), engine.evicted_pages(),
                      engine.preemptions()),
      absl::StrFormat("time between tokens: %.0f ms median, %.0f ms p99, %.0f "
                      "ms at most%s\n\n",
                      engine.token_gap_p50_ms(), engine.token_gap_p99_ms(),
                      engine.token_gap_max_ms(), GapBound(engine)),
      table.ToString(colours));
  return text;
}

void ShowStats(const v1::Stats& stats, bool json, bool redraw) {
  if (json) {
    PrintJsonLine(ToJson(stats));
    return;
  }
  if (redraw) std::cout << "\x1b[H\x1b[2J";
  std::cout << StatsAsText(stats, Colours()) << std::flush;
}

std::string NodesAsText(const v1::Topology& topology) {
  Table table({"node", "kernel's node", "socket", "cpus", "workers", "cores",
               "threads", "L3 caches", "memory", "distances", "heads"});
  for (const v1::TopologyNode& node : topology.nodes()) {
    const std::set<int> caches(node.l3_groups().begin(),
                               node.l3_groups().end());
    table.Add(
        {NodeName(node.node(), node.simulated()), absl::StrCat(node.os_index()),
         node.package() < 0 ? "?" : absl::StrCat(node.package()),
         CpuList(node.cpus()), absl::StrCat(node.workers()),
         absl::StrCat(node.cores()), absl::StrCat(node.hardware_threads()),
         caches.contains(-1) ? "?" : absl::StrCat(caches.size()),
         HumanBytes(node.memory_bytes()),
         node.distances().empty() ? "?" : absl::StrJoin(node.distances(), " "),
         node.head_begin() == node.head_end()
             ? "none"
             : absl::StrCat(node.head_begin(), "-", node.head_end() - 1)});
  }
  std::string text = table.ToString(Colours());
  for (const std::string& note : topology.notes()) {
    absl::StrAppend(&text, "note: ", note, "\n");
  }
  return text;
}

absl::Status ShowTopology(const v1::Topology& topology,
                          const v1::ModelInfo& model, bool json) {
  if (json) {
    nlohmann::json object = ToJson(topology);
    object["model"] = ToJson(model);
    PrintJsonLine(object);
    return absl::OkStatus();
  }
  std::cout << absl::StreamFormat(
      "%s (%s, %s), %d layers, %d heads, %d experts; cache %s, %d tokens, %d "
      "bytes a token; %s kernels\n\n",
      model.name(), model.file_type(), HumanBytes(model.file_bytes()),
      model.layers(), model.attention_heads(), model.routed_experts(),
      model.kv_type(), model.context_tokens(), model.kv_bytes_per_token(),
      topology.isa());
  std::cout << NodesAsText(topology);
  return absl::OkStatus();
}

}  // namespace

int RunStats(const CtlOptions& options) {
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        if (options.watch_s <= 0) {
          MLAD_ASSIGN_OR_RETURN(const v1::Stats stats, client.GetStats(call));
          ShowStats(stats, options.json, false);
          return absl::OkStatus();
        }
        v1::WatchStatsRequest request;
        request.set_interval_ms(static_cast<int32_t>(options.watch_s * 1000));
        const absl::Status status = client.WatchStats(
            request,
            [&](const v1::Stats& stats) {
              ShowStats(stats, options.json, IsTerminal(1));
              return true;
            },
            call);
        // Ctrl-C is how watching ends.
        return absl::IsCancelled(status) ? absl::OkStatus() : status;
      });
}

int RunTopology(const CtlOptions& options) {
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(const v1::Topology topology,
                              client.GetTopology(call));
        MLAD_ASSIGN_OR_RETURN(const v1::ModelInfo model,
                              client.GetModelInfo(call));
        return ShowTopology(topology, model, options.json);
      });
}

int RunHealth(const CtlOptions& options) {
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(const Health health,
                              client.CheckHealth("", call));
        const std::string name(HealthName(health));
        if (options.json) {
          PrintJsonLine({{"status", name}});
        } else {
          std::cout << name << "\n";
        }
        return health == Health::kServing
                   ? absl::OkStatus()
                   : absl::UnavailableError(
                         "the daemon is loading or draining; see 'mla-ctl "
                         "stats'");
      });
}

}  // namespace mlad
