#include "rpc/admin_responses.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "model/utf8.h"

namespace mlad {
namespace {

v1::ServingState ToWire(ServerPhase phase) {
  switch (phase) {
    case ServerPhase::kLoading:
      return v1::SERVING_STATE_LOADING;
    case ServerPhase::kServing:
      return v1::SERVING_STATE_SERVING;
    case ServerPhase::kDraining:
    case ServerPhase::kStopping:
      return v1::SERVING_STATE_DRAINING;
  }
  return v1::SERVING_STATE_UNSPECIFIED;
}

void FillLatencies(const LatencyHistogram& from, v1::Latencies& out) {
  out.mutable_bounds_s()->Add(from.kBounds.begin(), from.kBounds.end());
  out.mutable_counts()->Add(from.counts().begin(), from.counts().end());
  out.set_sum_s(from.sum_s());
}

void FillEngineStats(const EngineStats& stats, v1::EngineStats& out) {
  out.set_running(stats.running);
  out.set_queued(stats.queued);
  out.set_requests(stats.requests);
  out.set_failed(stats.failed);
  out.set_cancelled(stats.cancelled);
  out.set_prompt_tokens(stats.prompt_tokens);
  out.set_completion_tokens(stats.completion_tokens);
  out.set_steps(stats.steps);
  out.set_tokens_per_s(stats.tokens_per_s);
  out.set_prompt_tokens_per_s(stats.prompt_tokens_per_s);
  out.set_step_time_ms(absl::ToDoubleMilliseconds(stats.step_time));
  out.set_cached_tokens(stats.cached_tokens);
  const int64_t read_or_found = stats.prompt_tokens + stats.cached_tokens;
  if (read_or_found > 0) {
    out.set_cache_hit_rate(static_cast<double>(stats.cached_tokens) /
                           static_cast<double>(read_or_found));
  }
  out.set_cached_pages(std::accumulate(stats.cached_pages.begin(),
                                       stats.cached_pages.end(), int64_t{0}));
  out.set_evicted_pages(stats.evicted_pages);
  out.set_preemptions(stats.preemptions);
  out.set_token_gap_p50_ms(absl::ToDoubleMilliseconds(stats.token_gaps.p50));
  out.set_token_gap_p99_ms(absl::ToDoubleMilliseconds(stats.token_gaps.p99));
  out.set_token_gap_max_ms(absl::ToDoubleMilliseconds(stats.token_gaps.max));
  if (stats.max_token_gap != absl::InfiniteDuration()) {
    out.set_max_token_gap_ms(absl::ToDoubleMilliseconds(stats.max_token_gap));
  }
  out.set_late_tokens(stats.late_tokens);
  out.set_refused(stats.refused);
  out.set_expired(stats.expired);
  out.set_clients(stats.clients);
  out.set_expected_wait_ms(absl::ToDoubleMilliseconds(stats.expected_wait));
  out.set_max_running(stats.max_sequences);
  out.set_max_queued(stats.max_queued);
  out.set_paused(stats.paused);
  FillLatencies(stats.first_token, *out.mutable_first_token());
  FillLatencies(stats.token_gap, *out.mutable_token_gap());
  FillLatencies(stats.request, *out.mutable_request());
}

/// `cached_pages`: as the engine has told a moment before.
void FillNodeStats(const NodePlan& plan, const NodeCounters& counters,
                   int64_t kv_page_bytes, int64_t cached_pages,
                   v1::NodeStats& out) {
  const int64_t used =
      std::max<int64_t>(counters.kv_pages_used - cached_pages, 0);
  out.set_node(plan.description.node);
  out.mutable_cpus()->Add(plan.description.cpus.begin(),
                          plan.description.cpus.end());
  out.set_simulated(plan.description.simulated);
  out.set_weights_bytes(plan.weights_bytes);
  out.set_kv_bytes_used(used * kv_page_bytes);
  out.set_kv_bytes_capacity(plan.kv_bytes_capacity);
  out.set_kv_pages_used(used);
  out.set_kv_pages_cached(cached_pages);
  out.set_local_bytes(counters.local_bytes);
  out.set_remote_bytes(counters.remote_bytes);
  out.set_misplaced_pages(counters.misplaced_pages);
  const auto busy = static_cast<double>(counters.busy_ns);
  const auto barrier = static_cast<double>(counters.barrier_ns);
  out.set_busy_s(busy / 1e9);
  out.set_barrier_s(barrier / 1e9);
  if (busy + barrier > 0) {
    out.set_busy_share(busy / (busy + barrier));
    out.set_barrier_share(barrier / (busy + barrier));
  }
}

void FillDescription(const NodeDescription& from, v1::TopologyNode& out) {
  out.set_node(from.node);
  out.set_os_index(from.os_index);
  out.set_package(from.package);
  out.set_simulated(from.simulated);
  out.mutable_cpus()->Add(from.cpus.begin(), from.cpus.end());
  out.mutable_l3_groups()->Add(from.l3_groups.begin(), from.l3_groups.end());
  out.set_workers(static_cast<int32_t>(from.cpus.size()));
  out.set_cores(from.cores);
  out.set_hardware_threads(from.hardware_threads);
  out.set_memory_bytes(from.memory_bytes);
  out.set_memory_bandwidth_mb_s(from.bandwidth_mb_s);
  out.set_memory_latency_ns(from.latency_ns);
  out.mutable_distances()->Add(from.distances.begin(), from.distances.end());
}

}  // namespace

v1::Stats MakeStats(const ServerState& state) {
  v1::Stats stats;
  stats.set_state(ToWire(state.phase()));
  stats.set_load_fraction(state.load_fraction());
  stats.set_uptime_s(absl::ToDoubleSeconds(state.uptime()));
  ServedModel* const model = state.model_or_null();
  if (model == nullptr) return stats;

  const PlacementPlan& plan = model->plan();
  stats.set_weights_bytes(plan.weights_bytes);
  stats.set_compute_bytes(plan.compute_bytes);
  stats.set_kv_bytes_capacity(plan.kv_bytes_capacity);
  const EngineStats engine = model->engine().stats();
  FillEngineStats(engine, *stats.mutable_engine());

  const std::vector<NodeCounters> counters = model->node_counters();
  int64_t kv_bytes_used = 0;
  for (size_t i = 0; i < std::min(plan.nodes.size(), counters.size()); ++i) {
    v1::NodeStats& node = *stats.add_nodes();
    const int64_t cached =
        i < engine.cached_pages.size() ? engine.cached_pages[i] : 0;
    FillNodeStats(plan.nodes[i], counters[i], plan.kv_page_bytes, cached, node);
    node.set_tokens_per_s(stats.engine().tokens_per_s());
    kv_bytes_used += node.kv_bytes_used();
  }
  stats.set_kv_bytes_used(kv_bytes_used);
  return stats;
}

v1::Topology MakeTopology(const ServedModel& model) {
  v1::Topology topology;
  topology.set_isa(std::string(model.isa()));
  for (const std::string& note : model.plan().notes) topology.add_notes(note);
  for (const NodePlan& plan : model.plan().nodes) {
    v1::TopologyNode& node = *topology.add_nodes();
    FillDescription(plan.description, node);
    node.set_head_begin(plan.heads.begin);
    node.set_head_end(plan.heads.end);
  }
  return topology;
}

v1::Experts MakeExperts(const ServedModel& model) {
  v1::Experts experts;
  const ExpertPlan& plan = model.plan().experts;
  experts.set_placement(std::string(MoePlacementName(plan.placement)));
  experts.set_replicas_per_node(plan.replicas);
  for (const ExpertLayerCounters& counters : model.expert_counters()) {
    v1::ExpertLayer& layer = *experts.add_layers();
    layer.set_layer(counters.layer);
    layer.mutable_tokens()->Add(counters.tokens.begin(), counters.tokens.end());
    for (size_t node = 0; node < counters.replicas.size(); ++node) {
      v1::ExpertReplicas& replicas = *layer.add_replicas();
      replicas.set_node(static_cast<int32_t>(node));
      replicas.mutable_experts()->Add(counters.replicas[node].begin(),
                                      counters.replicas[node].end());
    }
  }
  return experts;
}

v1::ModelInfo MakeModelInfo(const ServedModel& model,
                            const std::string& daemon_version) {
  const ModelFacts& facts = model.facts();
  v1::ModelInfo info;
  info.set_name(ReplaceInvalidUtf8(facts.name));
  info.set_path(ReplaceInvalidUtf8(facts.path));
  info.set_file_type(ReplaceInvalidUtf8(facts.file_type));
  info.set_file_bytes(facts.file_bytes);
  info.set_kv_type(facts.kv_type);
  info.set_context_tokens(facts.context_tokens);
  info.set_trained_context_tokens(facts.trained_context_tokens);
  info.set_vocab_size(model.tokenizer().vocab_size());
  info.set_hidden_size(facts.hidden_size);
  info.set_layers(facts.layers);
  info.set_attention_heads(facts.attention_heads);
  info.set_q_lora_rank(facts.q_lora_rank);
  info.set_kv_lora_rank(facts.kv_lora_rank);
  info.set_routed_experts(facts.routed_experts);
  info.set_experts_per_token(facts.experts_per_token);
  info.set_shared_experts(facts.shared_experts);
  info.set_kv_bytes_per_token(facts.kv_bytes_per_token);
  if (model.chat_style().has_value()) {
    info.set_chat_style(std::string(ChatStyleName(*model.chat_style())));
  }
  info.set_daemon_version(daemon_version);
  return info;
}

}  // namespace mlad
