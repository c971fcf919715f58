#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "bench/numa_report.h"

namespace mlad {
namespace {

constexpr size_t kSlicedIndex = 2, kWholeIndex = 3;
static_assert(kAllMemoryLayouts[kSlicedIndex] == MemoryLayout::kSliced &&
              kAllMemoryLayouts[kWholeIndex] == MemoryLayout::kWhole);

double Percent(double part, double whole) { return 100 * part / whole; }

void AppendMeasured(const NumaReport& report, std::string& text) {
  const MeasuredRates& m = report.measured;
  const KernelRates& core = m.core;
  const auto rate = [&](PackedFormat format, int64_t tokens) {
    return static_cast<double>(tokens) / core.matmul.at(format).At(tokens) /
           1e9;
  };
  absl::StrAppendFormat(
      &text,
      "## Measured here\n\n%s, %s kernels, %s cache, %d cores at %.2f GHz.\n\n"
      "| | |\n|---|---:|\n"
      "| reading memory, one core | %.1f GB/s |\n"
      "| reading memory, all cores | %.1f GB/s |\n"
      "| 4.5-bit weights times 1 token, one core | %.1f GB/s |\n"
      "| 4.5-bit weights times 64 tokens, one core | %.1f GB/s and token |\n"
      "| 8.5-bit weights times 1 token, one core | %.1f GB/s |\n"
      "| f32 weights times 1 token, one core | %.1f GB/s |\n"
      "| absorbed attention, a worker's walk over a position | %.1f ns |\n"
      "| absorbed attention, each head on it | %.1f ns |\n"
      "| norm and quantising | %.3f ns a number |\n"
      "| merging partials | %.3f ns a number |\n"
      "| routing, 256 experts | %.2f us a token |\n"
      "| barrier, one node | %.0f ns |\n"
      "| barrier, two simulated nodes | %.0f ns |\n"
      "| a cache line from core to core | %.0f ns |\n\n",
      report.cpu, report.isa, report.kv_type, m.cores, m.clock_hz / 1e9,
      core.read_bytes_per_s / 1e9, m.memory_bytes_per_s / 1e9,
      rate(PackedFormat::kNL4, 1), rate(PackedFormat::kNL4, 64),
      rate(PackedFormat::kQ8, 1), rate(PackedFormat::kF32, 1),
      core.walk_s_per_position * 1e9, core.absorb_s_per_head_position * 1e9,
      core.norm_s_per_float * 1e9, core.merge_s_per_float * 1e9,
      core.route_s_per_expert * 256 * 1e6, m.node_barrier_s * 1e9,
      m.cross_barrier_s * 1e9, m.handoff_s * 1e9);
}

void AppendValidation(const NumaReport& report, std::string& text) {
  absl::StrAppend(&text, "## Error on this machine\n\n");
  if (report.validation.empty()) {
    absl::StrAppend(&text, "Not measured: run with --validate FILE.\n\n");
    return;
  }
  absl::StrAppend(
      &text,
      "Four layers of V2-Lite at 4.5 bits. Error: predicted over measured "
      "tokens per second, less one. Nothing was fitted to these runs.\n\n"
      "| nodes | sequences | depth | measured t/s | predicted t/s | error | "
      "MB/token, counted | predicted | at barriers | predicted |\n"
      "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
  for (const ValidationRow& row : report.validation) {
    absl::StrAppendFormat(
        &text,
        "| %d%s | %d | %d | %.1f | %.1f | %+.1f%% | %.2f | %.2f | %.1f%% | "
        "%.1f%% |\n",
        row.nodes, row.nodes > 1 ? " simulated" : "", row.batch, row.depth,
        row.measured_tokens_per_s, row.predicted_tokens_per_s,
        100 * row.error(), row.measured_bytes_per_token / 1e6,
        row.predicted_bytes_per_token / 1e6, 100 * row.measured_barrier_share,
        100 * row.predicted_barrier_share);
  }
  absl::StrAppend(&text, "\n");
}

/// "58.1 (1.85x)"
std::string WithGain(const ServerRow& row, size_t layout) {
  return absl::StrFormat("%.1f (%.2fx)", row.both[layout].tokens_per_s,
                         row.Gain(layout));
}

void AppendServers(const NumaReport& report, std::string& text) {
  absl::StrAppend(
      &text,
      "## Tokens per second, and the second socket's gain\n\nOne sequence with "
      "4096 tokens in the cache. Shares are of a sliced step on both "
      "sockets.\n\n| model | server | one socket | interleaved | mirrored | "
      "sliced | whole | gathers | barriers |\n"
      "|---|---|---:|---:|---:|---:|---:|---:|---:|\n");
  for (const ServerRow& row : report.servers) {
    const PredictedStep& sliced = row.both[kSlicedIndex];
    absl::StrAppendFormat(&text, "| %s | %s | %.1f |", row.model, row.machine,
                          row.one_socket.tokens_per_s);
    for (size_t i = 0; i < kLayouts; ++i) {
      absl::StrAppend(&text, " ", WithGain(row, i), " |");
    }
    absl::StrAppendFormat(&text, " %.0f%% | %.0f%% |\n",
                          Percent(sliced.gathers_s, sliced.step_s),
                          Percent(sliced.barriers_s, sliced.step_s));
  }
  absl::StrAppend(&text, "\n");
}

/// How many of the sliced rows reach 1.9x, and between what they lie.
void AppendVerdict(const NumaReport& report, std::string& text) {
  constexpr double kPromised = 1.9;
  int reached = 0;
  double least = 1e9, most = 0;
  for (const ServerRow& row : report.servers) {
    const double gain = row.Gain(kSlicedIndex);
    reached += gain >= kPromised ? 1 : 0;
    least = std::min(least, gain);
    most = std::max(most, gain);
  }
  absl::StrAppendFormat(
      &text,
      "The second socket's gain (sliced) is %.2fx to %.2fx; %d of %d rows "
      "reach the promised %.1fx.\n\n",
      least, most, reached, report.servers.size(), kPromised);
}

void AppendMemory(const NumaReport& report, std::string& text) {
  absl::StrAppend(
      &text, "| model | weights, GiB | mirrored, GiB |\n|---|---:|---:|\n");
  for (const auto& [model, bytes] : report.weights_bytes) {
    const double gib = bytes / (1 << 30);
    absl::StrAppendFormat(&text, "| %s | %.0f | %.0f |\n", model, gib, 2 * gib);
  }
  absl::StrAppend(&text, "\n");
}

void AppendAttention(const NumaReport& report, std::string& text) {
  absl::StrAppend(
      &text,
      "## Attention split by positions or by heads\n\nV3 at 4.5 bits, one "
      "sequence, both sockets: milliseconds of a step from absorbing queries "
      "to "
      "W_uv (barriers apart), and tokens per second of the whole step.\n\n"
      "| server | depth | positions, ms | heads, ms | heads with mirrored "
      "cache, ms | positions, t/s | heads, t/s | mirrored, t/s |\n"
      "|---|---:|---:|---:|---:|---:|---:|---:|\n");
  for (const AttentionRow& row : report.attention) {
    absl::StrAppendFormat(&text, "| %s | %d |", row.machine, row.depth);
    for (const PredictedStep& step : row.splits) {
      absl::StrAppendFormat(&text, " %.2f |", step.attention_s * 1e3);
    }
    for (const PredictedStep& step : row.splits) {
      absl::StrAppendFormat(&text, " %.1f |", step.tokens_per_s);
    }
    absl::StrAppend(&text, "\n");
  }
  absl::StrAppend(&text, "\n");
}

void AppendBatches(const NumaReport& report, std::string& text) {
  absl::StrAppend(
      &text,
      "## Several sequences\n\nV3 at 4.5 bits, 4096 tokens in each sequence's "
      "cache; tokens per second of all together.\n\n"
      "| server | sequences | one socket | sliced | whole |\n"
      "|---|---:|---:|---:|---:|\n");
  for (const ServerRow& row : report.batches) {
    absl::StrAppendFormat(&text, "| %s | %d | %.1f | %s | %s |\n", row.machine,
                          row.batch, row.one_socket.tokens_per_s,
                          WithGain(row, kSlicedIndex),
                          WithGain(row, kWholeIndex));
  }
  absl::StrAppend(&text, "\n");
}

void AppendAssumptions(std::string& text) {
  absl::StrAppend(&text, "## Assumptions\n\n");
  for (const std::string& sentence : ModelAssumptions()) {
    absl::StrAppend(&text, "- ", sentence, "\n");
  }
  absl::StrAppend(&text,
                  "\n| server, per socket | cores | memory GB/s, of it "
                  "reached | links GB/s one way | clock GHz | latency "
                  "near, far ns | handoff under L3, in, across ns |\n"
                  "|---|---:|---:|---:|---:|---:|---:|\n");
  for (const MachineFacts& m : ServerFacts()) {
    absl::StrAppendFormat(
        &text,
        "| %s | %d | %.1f, %.0f%% | %.0f, %.0f%% | %.1f | %.0f, %.0f | %g, %g, "
        "%g |\n",
        std::string(m.name), m.cores_per_socket, m.memory_gb_s, 100 * m.reached,
        m.link_gb_s, 100 * kLinkReached, m.clock_ghz, m.local_ns, m.far_ns,
        m.l3_handoff_ns, m.handoff_ns, m.far_handoff_ns);
  }
  absl::StrAppend(&text, "\nSources: bench/numa_machines.cc.\n");
}

}  // namespace

std::string NumaReportAsText(const NumaReport& report) {
  std::string text =
      "# What the NUMA model predicts\n\nPrinted by `numa_model`; "
      "[numa_model.md](numa_model.md) says what it means.\n\n";
  AppendMeasured(report, text);
  AppendValidation(report, text);
  AppendServers(report, text);
  AppendVerdict(report, text);
  AppendMemory(report, text);
  AppendAttention(report, text);
  AppendBatches(report, text);
  AppendAssumptions(text);
  return text;
}

}  // namespace mlad
