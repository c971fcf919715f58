#include "bench/bench_table.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace mlad {
namespace {

using Cells = std::vector<std::string>;

/// "1 node", "2 nodes"
std::string Count(int n, const std::string& thing) {
  return absl::StrCat(n, " ", thing, n == 1 ? "" : "s");
}

double MiB(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

std::vector<std::string> Facts(const BenchReport& r) {
  std::vector<std::string> facts = {
      absl::StrFormat("%s, mostly %s: weights %.1f MiB, loaded in %.2f s",
                      r.model, r.weight_type, MiB(r.weights_bytes), r.load_s),
      absl::StrFormat("%s cache %.1f MiB for %d tokens, compute buffers %.1f "
                      "MiB",
                      r.kv_type, MiB(r.kv_bytes_capacity), r.kv_tokens,
                      MiB(r.compute_bytes)),
      absl::StrFormat("%s: %s kernels, %s on %s", r.cpu, r.isa,
                      Count(r.workers, "worker"), Count(r.nodes, "node")),
      absl::StrFormat("limits measured in this run: read %.1f GB/s, int8 "
                      "%.0f GOP/s, f32 %.0f GFLOP/s",
                      r.limits.read_bytes_per_s / 1e9,
                      r.limits.int8_ops_per_s / 1e9,
                      r.limits.f32_ops_per_s / 1e9)};
  if (r.fill == CacheFill::kRandom) {
    facts.emplace_back(
        "the cache before a test holds random latents, not those of a prompt");
  }
  return facts;
}

std::vector<Cells> Rows(const BenchReport& report) {
  std::vector<Cells> rows = {{"test", "tokens/s", "min", "max", "spread",
                              "MB/token", "binding limit", "of limit",
                              "barriers"}};
  for (const BenchRow& row : report.rows) {
    const LimitShare binding = report.BindingLimit(row);
    rows.push_back({row.test, absl::StrFormat("%.2f", row.Median()),
                    absl::StrFormat("%.2f", row.Least()),
                    absl::StrFormat("%.2f", row.Most()),
                    absl::StrFormat("%.1f%%", row.SpreadPercent()),
                    absl::StrFormat("%.3f", row.bytes_per_token / 1e6),
                    binding.limit, absl::StrFormat("%.1f%%", binding.percent),
                    absl::StrFormat("%.1f%%", row.MedianBarrierPercent())});
  }
  return rows;
}

/// Words to the left: the test and the limit.
bool IsWord(size_t column) { return column == 0 || column == 6; }

/// Every cell as wide as its column's widest.
std::vector<Cells> Padded(std::vector<Cells> rows) {
  for (size_t column = 0; column < rows.front().size(); ++column) {
    size_t width = 0;
    for (const Cells& row : rows) width = std::max(width, row[column].size());
    for (Cells& row : rows) {
      const std::string space(width - row[column].size(), ' ');
      row[column] = IsWord(column) ? row[column] + space : space + row[column];
    }
  }
  return rows;
}

}  // namespace

std::string ReportAsText(const BenchReport& report) {
  std::string text = absl::StrJoin(Facts(report), "\n") + "\n\n";
  for (const Cells& row : Padded(Rows(report))) {
    absl::StrAppend(&text, absl::StrJoin(row, "  "), "\n");
  }
  return text;
}

std::string ReportAsMarkdown(const BenchReport& report) {
  std::string text;
  for (const std::string& fact : Facts(report)) {
    absl::StrAppend(&text, "- ", fact, "\n");
  }
  absl::StrAppend(&text, "\n");
  const std::vector<Cells> rows = Padded(Rows(report));
  for (size_t r = 0; r < rows.size(); ++r) {
    absl::StrAppend(&text, "| ", absl::StrJoin(rows[r], " | "), " |\n");
    if (r > 0) continue;
    text += "|";
    for (size_t column = 0; column < rows[0].size(); ++column) {
      const std::string dashes(rows[0][column].size() + 1, '-');
      absl::StrAppend(&text, dashes, IsWord(column) ? "-" : ":", "|");
    }
    text += "\n";
  }
  return text;
}

}  // namespace mlad
