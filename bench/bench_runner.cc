#include "bench/bench_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/check.h"
#include "bench/stopwatch.h"

namespace mlad {
namespace {

// Steps before the clock starts: the first ones meet cold caches.
constexpr int64_t kWarmUpSteps = 4;

/// Indices into `values`, ascending by value.
std::vector<size_t> Ascending(const std::vector<int64_t>& values) {
  std::vector<size_t> order(values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] < values[b]; });
  return order;
}

}  // namespace

/// Of all nodes, since start.
struct BenchRunner::Counters {
  int64_t bytes = 0, busy_ns = 0, barrier_ns = 0;
};

BenchRunner::Counters BenchRunner::ReadCounters() const {
  Counters counters;
  for (int node = 0; node < parts_.executor.nodes(); ++node) {
    const Traffic traffic = parts_.model.transformer().traffic(node);
    const NodeExecutionStats stats = parts_.executor.stats(node);
    counters.bytes += traffic.local_bytes + traffic.remote_bytes;
    counters.busy_ns += stats.busy_ns;
    counters.barrier_ns += stats.barrier_ns;
  }
  return counters;
}

BenchRunner::BenchRunner(const Parts& parts, BenchPlan plan,
                         BenchProgress progress)
    : parts_(parts),
      plan_(std::move(plan)),
      progress_(std::move(progress)),
      filler_(parts.model, parts.executor, parts.kernels, plan_.fill),
      sequences_(plan_.LargestBatch()),
      tests_(static_cast<double>(
          plan_.prompts.size() * plan_.prompt_depths.size() +
          plan_.generations.size() * plan_.depths.size() *
              plan_.batches.size())) {
  for (size_t i = 0; i < sequences_.size(); ++i) {
    sequences_[i].number = static_cast<int64_t>(i);
    sequences_[i].pages = parts_.model.pages().NewTable();
  }
}

void BenchRunner::Report(const std::string& what) {
  progress_(what, tests_done_ / tests_);
}

void BenchRunner::FillTo(int64_t depth, const std::string& before) {
  const auto needed = before.starts_with("pp")
                          ? absl::MakeSpan(sequences_).first(1)
                          : absl::MakeSpan(sequences_);
  filler_.Fill(needed, depth, [&](double done) {
    Report(absl::StrFormat("%s: filling the cache to %d tokens, %.0f%%", before,
                           depth, 100 * done));
  });
}

void BenchRunner::Repeat(int64_t tokens, BenchRow& row,
                         absl::FunctionRef<void()> work) {
  const Counters first = ReadCounters();
  Counters before = first;
  for (int r = 0; r < plan_.repetitions; ++r) {
    const auto begin = SteadyClock::now();
    work();
    row.tokens_per_s.push_back(static_cast<double>(tokens) /
                               SecondsSince(begin));
    const Counters after = ReadCounters();
    const auto busy = static_cast<double>(after.busy_ns - before.busy_ns);
    const auto barrier =
        static_cast<double>(after.barrier_ns - before.barrier_ns);
    row.barrier_percents.push_back(100 * barrier /
                                   std::max(busy + barrier, 1.0));
    before = after;
  }
  row.bytes_per_token = static_cast<double>(before.bytes - first.bytes) /
                        static_cast<double>(tokens * plan_.repetitions);
  ++tests_done_;
}

BenchRow BenchRunner::TimePrompt(int64_t tokens, int64_t depth) {
  BenchRow row;
  row.kind = BenchKind::kPrompt;
  row.test = BenchTestName(row.kind, tokens, depth, 1);
  row.depth = depth;
  row.tokens = tokens;
  row.work = parts_.work.PromptToken(depth, tokens);
  CachedSequence& sequence = sequences_.front();
  Report(row.test);
  ReadPrompt(
      parts_.model, sequence, depth,
      depth +
          std::min(tokens, parts_.model.transformer().prompt_chunk_tokens()));
  Repeat(tokens, row,
         [&] { ReadPrompt(parts_.model, sequence, depth, depth + tokens); });
  return row;
}

BenchRow BenchRunner::TimeGeneration(int64_t tokens, int64_t depth,
                                     int64_t batch) {
  BenchRow row;
  row.kind = BenchKind::kGeneration;
  row.test = BenchTestName(row.kind, tokens, depth, batch);
  row.depth = depth;
  row.tokens = tokens;
  row.batch = batch;
  row.work = parts_.work.GeneratedToken(depth, tokens);
  Report(row.test);
  const auto sequences = absl::MakeSpan(sequences_).first(batch);
  for (CachedSequence& sequence : sequences) {
    MLAD_CHECK(parts_.model.pages().Grow(sequence.pages, depth + tokens).ok());
  }
  const auto generate = [&](int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      GenerateStep(parts_.model, sequences, depth + i);
    }
  };
  generate(std::min(tokens, kWarmUpSteps));
  Repeat(tokens * batch, row, [&] { generate(tokens); });
  return row;
}

void BenchRunner::RunPrompts(std::vector<BenchRow>& rows) {
  const size_t depths = plan_.prompt_depths.size();
  const size_t first = rows.size();
  rows.resize(first + plan_.prompts.size() * depths);
  for (const size_t d : Ascending(plan_.prompt_depths)) {
    const int64_t depth = plan_.prompt_depths[d];
    FillTo(depth, "pp");
    for (size_t p = 0; p < plan_.prompts.size(); ++p) {
      rows[first + p * depths + d] = TimePrompt(plan_.prompts[p], depth);
    }
  }
}

void BenchRunner::RunGenerations(std::vector<BenchRow>& rows) {
  const size_t depths = plan_.depths.size();
  const size_t batches = plan_.batches.size();
  const size_t first = rows.size();
  rows.resize(first + plan_.generations.size() * depths * batches);
  for (const size_t d : Ascending(plan_.depths)) {
    const int64_t depth = plan_.depths[d];
    FillTo(depth, "tg");
    for (size_t g = 0; g < plan_.generations.size(); ++g) {
      for (size_t b = 0; b < batches; ++b) {
        rows[first + (g * depths + d) * batches + b] =
            TimeGeneration(plan_.generations[g], depth, plan_.batches[b]);
      }
    }
  }
}

std::vector<BenchRow> BenchRunner::Run() {
  std::vector<BenchRow> rows;
  if (!plan_.prompts.empty()) RunPrompts(rows);
  if (!plan_.generations.empty()) RunGenerations(rows);
  return rows;
}

}  // namespace mlad
