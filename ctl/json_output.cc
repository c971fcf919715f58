#include "ctl/json_output.h"

#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace mlad {

void PrintJsonLine(const nlohmann::json& value) {
  std::cout << value.dump(-1, ' ', false,
                          nlohmann::json::error_handler_t::replace)
            << std::endl;
}

nlohmann::json ToJson(
    const google::protobuf::RepeatedPtrField<v1::TokenAlternative>&
        alternatives) {
  nlohmann::json list = nlohmann::json::array();
  for (const v1::TokenAlternative& alternative : alternatives) {
    list.push_back({{"id", alternative.id()},
                    {"logprob", alternative.logprob()},
                    {"piece", alternative.piece()}});
  }
  return list;
}

nlohmann::json ToJson(
    const google::protobuf::RepeatedPtrField<v1::TokenScore>& scores) {
  nlohmann::json list = nlohmann::json::array();
  for (const v1::TokenScore& score : scores) {
    list.push_back({{"id", score.id()},
                    {"piece", score.piece()},
                    {"logprob", score.logprob()},
                    {"alternatives", ToJson(score.alternatives())}});
  }
  return list;
}

nlohmann::json ToJson(const v1::Session& session) {
  return {{"name", session.name()},
          {"tokens", session.tokens()},
          {"file_bytes", session.file_bytes()},
          {"saved_at_s", session.saved_at_s()},
          {"problem", session.problem()}};
}

std::string StateName(v1::ServingState state) {
  const std::string name = v1::ServingState_Name(state);
  return absl::AsciiStrToLower(absl::StripPrefix(name, "SERVING_STATE_"));
}

nlohmann::json ToJson(const v1::Stats& stats) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const v1::NodeStats& node : stats.nodes()) {
    nodes.push_back({{"node", node.node()},
                     {"cpus", node.cpus()},
                     {"simulated", node.simulated()},
                     {"weights_bytes", node.weights_bytes()},
                     {"kv_bytes_used", node.kv_bytes_used()},
                     {"kv_bytes_capacity", node.kv_bytes_capacity()},
                     {"kv_pages_used", node.kv_pages_used()},
                     {"kv_pages_cached", node.kv_pages_cached()},
                     {"tokens_per_s", node.tokens_per_s()},
                     {"local_bytes", node.local_bytes()},
                     {"remote_bytes", node.remote_bytes()},
                     {"misplaced_pages", node.misplaced_pages()},
                     {"busy_share", node.busy_share()},
                     {"barrier_share", node.barrier_share()}});
  }
  const v1::EngineStats& engine = stats.engine();
  return {{"state", StateName(stats.state())},
          {"load_fraction", stats.load_fraction()},
          {"uptime_s", stats.uptime_s()},
          {"nodes", nodes},
          {"weights_bytes", stats.weights_bytes()},
          {"compute_bytes", stats.compute_bytes()},
          {"kv_bytes_capacity", stats.kv_bytes_capacity()},
          {"kv_bytes_used", stats.kv_bytes_used()},
          {"engine",
           {{"running", engine.running()},
            {"queued", engine.queued()},
            {"requests", engine.requests()},
            {"failed", engine.failed()},
            {"cancelled", engine.cancelled()},
            {"prompt_tokens", engine.prompt_tokens()},
            {"completion_tokens", engine.completion_tokens()},
            {"steps", engine.steps()},
            {"tokens_per_s", engine.tokens_per_s()},
            {"prompt_tokens_per_s", engine.prompt_tokens_per_s()},
            {"step_time_ms", engine.step_time_ms()},
            {"cached_tokens", engine.cached_tokens()},
            {"cache_hit_rate", engine.cache_hit_rate()},
            {"cached_pages", engine.cached_pages()},
            {"evicted_pages", engine.evicted_pages()},
            {"preemptions", engine.preemptions()},
            {"token_gap_p50_ms", engine.token_gap_p50_ms()},
            {"token_gap_p99_ms", engine.token_gap_p99_ms()},
            {"token_gap_max_ms", engine.token_gap_max_ms()},
            {"max_token_gap_ms", engine.max_token_gap_ms()},
            {"late_tokens", engine.late_tokens()},
            {"refused", engine.refused()},
            {"expired", engine.expired()},
            {"clients", engine.clients()},
            {"expected_wait_ms", engine.expected_wait_ms()},
            {"max_running", engine.max_running()},
            {"max_queued", engine.max_queued()},
            {"paused", engine.paused()}}}};
}

nlohmann::json ToJson(const v1::Topology& topology) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const v1::TopologyNode& node : topology.nodes()) {
    nodes.push_back({{"node", node.node()},
                     {"os_index", node.os_index()},
                     {"simulated", node.simulated()},
                     {"cpus", node.cpus()},
                     {"package", node.package()},
                     {"l3_groups", node.l3_groups()},
                     {"workers", node.workers()},
                     {"cores", node.cores()},
                     {"hardware_threads", node.hardware_threads()},
                     {"memory_bytes", node.memory_bytes()},
                     {"memory_bandwidth_mb_s", node.memory_bandwidth_mb_s()},
                     {"memory_latency_ns", node.memory_latency_ns()},
                     {"distances", node.distances()},
                     {"head_begin", node.head_begin()},
                     {"head_end", node.head_end()}});
  }
  return {
      {"isa", topology.isa()}, {"nodes", nodes}, {"notes", topology.notes()}};
}

nlohmann::json ToJson(const v1::ModelInfo& info) {
  return {{"name", info.name()},
          {"path", info.path()},
          {"file_type", info.file_type()},
          {"file_bytes", info.file_bytes()},
          {"kv_type", info.kv_type()},
          {"context_tokens", info.context_tokens()},
          {"trained_context_tokens", info.trained_context_tokens()},
          {"vocab_size", info.vocab_size()},
          {"hidden_size", info.hidden_size()},
          {"layers", info.layers()},
          {"attention_heads", info.attention_heads()},
          {"q_lora_rank", info.q_lora_rank()},
          {"kv_lora_rank", info.kv_lora_rank()},
          {"routed_experts", info.routed_experts()},
          {"experts_per_token", info.experts_per_token()},
          {"shared_experts", info.shared_experts()},
          {"kv_bytes_per_token", info.kv_bytes_per_token()},
          {"chat_style", info.chat_style()},
          {"daemon_version", info.daemon_version()}};
}

nlohmann::json ToJson(const v1::Experts& experts) {
  nlohmann::json layers = nlohmann::json::array();
  for (const v1::ExpertLayer& layer : experts.layers()) {
    nlohmann::json replicas = nlohmann::json::array();
    for (const v1::ExpertReplicas& on_node : layer.replicas()) {
      replicas.push_back(
          {{"node", on_node.node()}, {"experts", on_node.experts()}});
    }
    layers.push_back({{"layer", layer.layer()},
                      {"tokens", layer.tokens()},
                      {"replicas", replicas}});
  }
  return {{"placement", experts.placement()},
          {"replicas_per_node", experts.replicas_per_node()},
          {"layers", layers}};
}

}  // namespace mlad
