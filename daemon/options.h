// What can be set on mlad's command line and in its configuration file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "numa/placement_plan.h"
#include "numa/topology.h"

namespace mlad {

/// Which model on which part of which machine: all commands have these.
struct ModelOptions {
  std::string model;     // path; empty: the demo model
  std::string topology;  // synthetic string or .xml file; empty: this machine
  int nodes = 0;         // 0: as many as the machine has
  int threads_per_node = 0;  // 0: one per core
  std::string cpus;          // "0-3,8"; empty: all that may be used
  std::string kv = "f16";
  std::optional<int64_t> context;       // longest sequence, tokens
  std::optional<int64_t> cache_tokens;  // over all sequences
  std::string moe_placement = "sliced";
  int64_t replicate_experts = 0;  // replicas per layer and node

  bool operator==(const ModelOptions&) const = default;
};

struct ServeOptions {
  ModelOptions model;
  std::vector<std::string> listen = {"127.0.0.1:6523"};
  int64_t max_sequences = 16;
  int64_t max_queued = 256;
  double client_share = 1;         // of both
  int64_t max_tokens = 0;          // of an answer; 0: no limit
  double max_token_gap_ms = 1000;  // 0: none
  double reader_timeout_s = 600;   // 0: none
  double drain_s = 30;
  /// Under a service manager: memory outlives the process.
  bool keep_memory = true;
  std::string log_level = "info";
  std::string metrics;  // where Prometheus may ask; empty: nowhere

  // Paths; empty: none.
  std::string tls_certificate, tls_key, tls_client_ca;
  std::string access;                // who may call
  std::string session_dir;           // a folder; empty: no sessions
  bool insecure = false;             // let anybody on the network in
  std::string socket_mode = "0660";  // of unix sockets, octal
  int64_t max_connections = 4096;
  int64_t max_request_mib = 64;

  bool operator==(const ServeOptions&) const = default;
};

struct PlanOptions {
  ModelOptions model;
  bool json = false;
};

TopologyOptions MakeTopologyOptions(const ModelOptions& options);

/// Errors: kInvalidArgument for an unknown placement, and for replicas of
/// experts that are not placed whole.
absl::StatusOr<ExpertPlan> MakeExpertPlan(const ModelOptions& options);

/// Longest default context, however far the model was trained.
inline constexpr int64_t kMaxDefaultContext = 32768;
/// Cache that a model of short context gets by default.
inline constexpr int64_t kMinDefaultCacheTokens = 16384;

/// Sizes in tokens that follow from the options and the model.
struct ContextSizes {
  int64_t context_tokens = 0;  // longest sequence
  int64_t cache_tokens = 0;    // over all sequences
};

/// The context defaults to the trained one, kMaxDefaultContext at most; the
/// cache to the context that was asked for, or to room for several sequences.
ContextSizes ChooseContext(const ModelOptions& options, int64_t trained_tokens);

}  // namespace mlad
