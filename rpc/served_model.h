// What the services need of a loaded model; the daemon puts it together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "engine/session_store.h"
#include "model/chat_template.h"
#include "model/tokenizer.h"
#include "numa/placement_plan.h"

namespace mlad {

/// Reported by GetModelInfo; see mlad/v1/admin.proto. Strings need not be
/// UTF-8.
struct ModelFacts {
  std::string name;
  std::string path;
  std::string file_type;  // of most weights, e.g. "Q8_0"
  int64_t file_bytes = 0;
  std::string kv_type;                 // "f16", "q8_kv", ...
  int64_t context_tokens = 0;          // longest sequence accepted
  int64_t trained_context_tokens = 0;  // from the file
  int64_t hidden_size = 0;
  int64_t layers = 0;
  int64_t attention_heads = 0;
  int64_t q_lora_rank = 0;  // 0: none
  int64_t kv_lora_rank = 0;
  int64_t routed_experts = 0;
  int64_t experts_per_token = 0;
  int64_t shared_experts = 0;
  int64_t kv_bytes_per_token = 0;  // over all layers
};

/// What one node has done since the start.
struct NodeCounters {
  int64_t local_bytes = 0;      // read by its workers from its own memory
  int64_t remote_bytes = 0;     // read by its workers from other nodes' memory
  int64_t busy_ns = 0;          // in kernels, all workers
  int64_t barrier_ns = 0;       // waiting within steps, all workers
  int64_t misplaced_pages = 0;  // memory pages on another node than planned
  int64_t kv_pages_used = 0;    // latent pages, now, those
                                // that are only kept for later included
};

/// The routed experts of one layer.
struct ExpertLayerCounters {
  int64_t layer = 0;
  std::vector<int64_t> tokens;                 // [experts], since the start
  std::vector<std::vector<int64_t>> replicas;  // [nodes] of expert numbers;
                                               // empty: no room for any
};

/// A model with its engine, tokenizer and plan. All methods may be called from
/// any thread at any time, return at once (no system calls that wait, no lock
/// that a step holds), and what they return by reference does not change.
class ServedModel {
 public:
  virtual ~ServedModel() = default;

  virtual Engine& engine() = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  /// Empty: Chat answers UNIMPLEMENTED.
  virtual std::optional<ChatStyle> chat_style() const = 0;
  virtual const ModelFacts& facts() const = 0;
  virtual const PlacementPlan& plan() const = 0;
  /// One for each node of the plan.
  virtual std::vector<NodeCounters> node_counters() const = 0;
  /// The layers that have routed experts.
  virtual std::vector<ExpertLayerCounters> expert_counters() const = 0;
  /// Null: sessions are not kept. Its methods take their time.
  virtual SessionStore* sessions() const { return nullptr; }
  /// Of the kernels: "scalar", "avx2", "avx512", "amx".
  virtual std::string_view isa() const = 0;
};

}  // namespace mlad
