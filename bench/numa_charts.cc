#include <algorithm>

#include "bench/numa_report.h"

namespace mlad {
namespace {

constexpr const char* kServer = "2x EPYC 9654 NPS1";  // of most charts

/// The line of that name, new if there is none yet.
ChartLine& Line(LineChart& chart, const std::string& name) {
  for (ChartLine& line : chart.lines) {
    if (line.name == name) return line;
  }
  return chart.lines.emplace_back(ChartLine{name, {}});
}

void Add(LineChart& chart, const std::string& name, int64_t x, double y) {
  Line(chart, name).points.emplace_back(static_cast<double>(x), y);
}

LineChart Layouts(const NumaReport& report) {
  LineChart chart = {std::string("DeepSeek-V3 at 4.5 bits on ") + kServer,
                     "tokens in the cache",
                     "tokens per second",
                     {}};
  for (const ServerRow& row : report.depths) {
    if (row.machine != kServer) continue;
    Add(chart, "one socket", row.depth, row.one_socket.tokens_per_s);
    for (size_t i = 0; i < kLayouts; ++i) {
      Add(chart, std::string(MemoryLayoutName(kAllMemoryLayouts[i])), row.depth,
          row.both[i].tokens_per_s);
    }
  }
  return chart;
}

LineChart Gains(const NumaReport& report) {
  LineChart chart = {"Second socket's gain, DeepSeek-V3 at 4.5 bits, sliced",
                     "tokens in the cache",
                     "both sockets over one",
                     {}};
  for (const ServerRow& row : report.depths) {
    Add(chart, row.machine, row.depth, row.Gain(2));
  }
  return chart;
}

LineChart Attention(const NumaReport& report) {
  LineChart chart = {std::string("Attention, DeepSeek-V3 on ") + kServer,
                     "tokens in the cache",
                     "ms of a step, barriers apart",
                     {}};
  for (const AttentionRow& row : report.attention) {
    if (row.machine != kServer) continue;
    Add(chart, "by positions", row.depth, row.splits[0].attention_s * 1e3);
    Add(chart, "by heads", row.depth, row.splits[1].attention_s * 1e3);
    Add(chart, "by heads, mirrored", row.depth,
        row.splits[2].attention_s * 1e3);
  }
  return chart;
}

LineChart Batches(const NumaReport& report) {
  LineChart chart = {
      std::string("Several sequences of 4096 tokens, V3 on ") + kServer,
      "sequences",
      "tokens per second, all together",
      {}};
  for (const ServerRow& row : report.batches) {
    if (row.machine != kServer) continue;
    Add(chart, "one socket", row.batch, row.one_socket.tokens_per_s);
    Add(chart, "sliced", row.batch, row.both[2].tokens_per_s);
    Add(chart, "whole", row.batch, row.both[3].tokens_per_s);
  }
  return chart;
}

}  // namespace

std::vector<std::pair<std::string, LineChart>> NumaCharts(
    const NumaReport& report) {
  return {{"numa_layouts.svg", Layouts(report)},
          {"numa_gain.svg", Gains(report)},
          {"numa_attention.svg", Attention(report)},
          {"numa_batch.svg", Batches(report)}};
}

}  // namespace mlad
