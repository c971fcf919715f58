#include "daemon/metrics_text.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace mlad {
namespace {

/// Labels are written as they are: names that we choose and numbers.
class Writer {
 public:
  /// The lines that follow are of this metric.
  void Begin(absl::string_view name, absl::string_view type,
             absl::string_view help) {
    name_ = absl::StrCat("mlad_", name);
    absl::StrAppend(&text_, "# HELP ", name_, " ", help, "\n# TYPE ", name_,
                    " ", type, "\n");
  }
  template <typename Number>
  void Add(Number value, absl::string_view labels = "",
           absl::string_view suffix = "") {
    absl::StrAppend(&text_, name_, suffix);
    if (!labels.empty()) absl::StrAppend(&text_, "{", labels, "}");
    absl::StrAppend(&text_, " ", value, "\n");
  }

  template <typename Number>
  void Gauge(absl::string_view name, absl::string_view help, Number value) {
    Begin(name, "gauge", help);
    Add(value);
  }
  template <typename Number>
  void Counter(absl::string_view name, absl::string_view help, Number value) {
    Begin(name, "counter", help);
    Add(value);
  }
  void Histogram(absl::string_view name, absl::string_view help,
                 const v1::Latencies& latencies) {
    Begin(name, "histogram", help);
    int64_t count = 0;
    for (int i = 0; i < latencies.counts_size(); ++i) {
      count += latencies.counts(i);
      const std::string bound = i < latencies.bounds_s_size()
                                    ? absl::StrCat(latencies.bounds_s(i))
                                    : "+Inf";
      Add(count, absl::StrCat("le=\"", bound, "\""), "_bucket");
    }
    Add(latencies.sum_s(), "", "_sum");
    Add(count, "", "_count");
  }

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

/// A line for each node; value(node).
template <typename Value>
void AddNodes(Writer& out, const v1::Stats& stats, absl::string_view name,
              absl::string_view type, absl::string_view help, Value value) {
  out.Begin(name, type, help);
  for (const v1::NodeStats& node : stats.nodes()) {
    out.Add(value(node), absl::StrCat("node=\"", node.node(), "\""));
  }
}

void AddAllNodes(Writer& out, const v1::Stats& stats) {
  using Node = v1::NodeStats;
  AddNodes(out, stats, "node_weights_bytes", "gauge", "Weights on the node.",
           [](const Node& n) { return n.weights_bytes(); });
  AddNodes(out, stats, "node_kv_used_bytes", "gauge",
           "Cache on the node that requests hold.",
           [](const Node& n) { return n.kv_bytes_used(); });
  AddNodes(out, stats, "node_kv_capacity_bytes", "gauge",
           "Cache on the node in all.",
           [](const Node& n) { return n.kv_bytes_capacity(); });
  AddNodes(out, stats, "node_kv_cached_pages", "gauge",
           "Pages kept for later requests, free when they are needed.",
           [](const Node& n) { return n.kv_pages_cached(); });
  AddNodes(out, stats, "node_busy_seconds_total", "counter",
           "Time of the node's workers in steps, summed.",
           [](const Node& n) { return n.busy_s(); });
  AddNodes(out, stats, "node_barrier_seconds_total", "counter",
           "Time that the node's workers waited for others in steps, summed.",
           [](const Node& n) { return n.barrier_s(); });
  AddNodes(
      out, stats, "node_misplaced_pages", "gauge",
      "Pages of memory that the kernel holds on another node than planned.",
      [](const Node& n) { return n.misplaced_pages(); });
  out.Begin("node_read_bytes_total", "counter",
            "Bytes that the node's workers read, by where they live.");
  for (const Node& node : stats.nodes()) {
    const std::string label = absl::StrCat("node=\"", node.node(), "\",from=");
    out.Add(node.local_bytes(), label + "\"local\"");
    out.Add(node.remote_bytes(), label + "\"remote\"");
  }
}

void AddRequests(Writer& out, const v1::EngineStats& engine) {
  out.Gauge("requests_running", "Requests in steps.", engine.running());
  out.Gauge("requests_queued", "Requests that wait for a place.",
            engine.queued());
  out.Gauge("requests_paused", "Requests whose clients do not read.",
            engine.paused());
  out.Gauge("requests_running_limit", "Places to run.", engine.max_running());
  out.Gauge("requests_queued_limit", "Places to wait.", engine.max_queued());
  out.Gauge("clients", "Clients with requests running or waiting.",
            engine.clients());
  out.Gauge("expected_wait_seconds", "Until a new request would begin.",
            engine.expected_wait_ms() / 1000);
  out.Counter("requests_total", "All that came.", engine.requests());
  out.Counter("requests_failed_total", "Refused or past their deadline.",
              engine.failed());
  out.Counter("requests_refused_total",
              "No place was free, or the client had its share.",
              engine.refused());
  out.Counter("requests_expired_total", "Past their deadline, or sure to be.",
              engine.expired());
  out.Counter("requests_cancelled_total", "Cancelled.", engine.cancelled());
}

void AddWork(Writer& out, const v1::EngineStats& engine) {
  out.Counter("prompt_tokens_total", "Tokens of prompts that were read.",
              engine.prompt_tokens());
  out.Counter("cached_tokens_total",
              "Tokens of prompts that were found in the cache.",
              engine.cached_tokens());
  out.Counter("generated_tokens_total", "Tokens generated.",
              engine.completion_tokens());
  out.Counter("late_tokens_total", "Tokens that came after max_token_gap_ms.",
              engine.late_tokens());
  out.Counter("steps_total", "Steps of the model.", engine.steps());
  out.Counter("step_seconds_total", "Time in the model.",
              engine.step_time_ms() / 1000);
  out.Counter("evicted_pages_total", "Kept pages that were given up.",
              engine.evicted_pages());
  out.Counter("preemptions_total",
              "Requests that gave their pages to others and began again.",
              engine.preemptions());
  out.Histogram("first_token_seconds",
                "From a request's arrival to its first token.",
                engine.first_token());
  out.Histogram("token_gap_seconds", "From one token of a request to its next.",
                engine.token_gap());
  out.Histogram("request_seconds",
                "From a request's arrival to its end, of complete ones.",
                engine.request());
}

void AddExperts(Writer& out, const v1::Experts& experts) {
  out.Begin("expert_skew_ratio", "gauge",
            "The layer's most chosen expert over the mean of all.");
  for (const v1::ExpertLayer& layer : experts.layers()) {
    const auto& tokens = layer.tokens();
    const int64_t sum =
        std::accumulate(tokens.begin(), tokens.end(), int64_t{0});
    if (sum == 0) continue;
    const int64_t most = *std::max_element(tokens.begin(), tokens.end());
    out.Add(
        static_cast<double>(most) * tokens.size() / static_cast<double>(sum),
        absl::StrCat("layer=\"", layer.layer(), "\""));
  }
}

}  // namespace

std::string MetricsText(const v1::Stats& stats, const v1::Experts& experts,
                        const std::string& version) {
  Writer out;
  out.Begin("build_info", "gauge", "1; the version is a label.");
  out.Add(1, absl::StrCat("version=\"", version, "\""));
  out.Gauge("serving", "1 while requests are accepted.",
            stats.state() == v1::SERVING_STATE_SERVING ? 1 : 0);
  out.Gauge("load_ratio", "Of loading, 0 to 1.", stats.load_fraction());
  out.Gauge("uptime_seconds", "Since the daemon started.", stats.uptime_s());
  if (stats.nodes().empty()) return out.Take();
  out.Gauge("compute_bytes", "Buffers of a step, on all nodes.",
            stats.compute_bytes());
  AddAllNodes(out, stats);
  AddRequests(out, stats.engine());
  AddWork(out, stats.engine());
  if (!experts.layers().empty()) AddExperts(out, experts);
  return out.Take();
}

}  // namespace mlad
