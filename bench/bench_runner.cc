#include "bench/bench_runner.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"

#include "base/check.h"

namespace mlad {
namespace {

/// Ids all over the vocabulary, so that experts and embedding rows vary.
int32_t IdAt(int64_t position, int64_t sequence, int64_t vocab) {
  const uint64_t mixed =
      static_cast<uint64_t>(position * 7919 + sequence * 104729 + 17) *
      0x9E3779B97F4A7C15u;
  return static_cast<int32_t>((mixed >> 20) % static_cast<uint64_t>(vocab));
}

void Ignore(int, int64_t, absl::Span<const float>) {}

}  // namespace

double BenchRow::Median() const {
  std::vector<double> sorted = tokens_per_s;
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle]
                                : (sorted[middle - 1] + sorted[middle]) / 2;
}

double BenchRow::Least() const {
  return *std::min_element(tokens_per_s.begin(), tokens_per_s.end());
}

double BenchRow::Most() const {
  return *std::max_element(tokens_per_s.begin(), tokens_per_s.end());
}

int64_t BenchPlan::CacheTokens() const {
  int64_t most = 1;
  for (const int64_t tokens : prompts) most = std::max(most, tokens);
  for (const int64_t batch : batches) {
    for (const int64_t depth : depths) {
      for (const int64_t tokens : generations) {
        // Pages are whole.
        const int64_t each = (depth + tokens + kPagePositions - 1) /
                             kPagePositions * kPagePositions;
        most = std::max(most, batch * each);
      }
    }
  }
  return most;
}

/// Differences of the counters over the timed part.
class BenchRunner::Meter {
 public:
  Meter(const LoadedModel& model, const Executor& executor)
      : model_(model), executor_(executor), before_(Read()) {}

  void Finish(int64_t tokens, BenchRow& row) const {
    const Counters after = Read();
    row.bytes_per_token = static_cast<double>(after.bytes - before_.bytes) /
                          static_cast<double>(tokens);
    const double busy = static_cast<double>(after.busy_ns - before_.busy_ns);
    const double barrier =
        static_cast<double>(after.barrier_ns - before_.barrier_ns);
    row.barrier_percent = 100 * barrier / std::max(busy + barrier, 1.0);
  }

 private:
  struct Counters {
    int64_t bytes = 0, busy_ns = 0, barrier_ns = 0;
  };
  Counters Read() const {
    Counters counters;
    for (int node = 0; node < executor_.nodes(); ++node) {
      const Traffic traffic = model_.transformer().traffic(node);
      const NodeExecutionStats stats = executor_.stats(node);
      counters.bytes += traffic.local_bytes + traffic.remote_bytes;
      counters.busy_ns += stats.busy_ns;
      counters.barrier_ns += stats.barrier_ns;
    }
    return counters;
  }

  const LoadedModel& model_;
  const Executor& executor_;
  Counters before_;
};

void BenchRunner::ReadPrompt(Sequence& sequence, int64_t tokens) {
  Transformer& transformer = model_.transformer();
  const int64_t chunk = transformer.prompt_chunk_tokens();
  MLAD_CHECK(model_.pages().Grow(sequence.pages, tokens).ok());
  for (int64_t at = 0; at < tokens; at += chunk) {
    const int64_t count = std::min(chunk, tokens - at);
    sequence.ids.clear();
    for (int64_t i = 0; i < count; ++i) {
      sequence.ids.push_back(IdAt(at + i, 0, transformer.vocab_size()));
    }
    const StepSpan span = {
        &sequence.pages, sequence.ids, at, count == chunk,
        at + count == tokens ? LogitsWanted::kLast : LogitsWanted::kNone};
    transformer.Step(absl::MakeConstSpan(&span, 1), Ignore);
  }
}

void BenchRunner::GenerateStep(absl::Span<Sequence> sequences,
                               int64_t position) {
  Transformer& transformer = model_.transformer();
  std::vector<StepSpan> spans;
  for (size_t i = 0; i < sequences.size(); ++i) {
    sequences[i].ids.assign(
        1, IdAt(position, static_cast<int64_t>(i), transformer.vocab_size()));
    spans.push_back({&sequences[i].pages, sequences[i].ids, position, false,
                     LogitsWanted::kLast});
  }
  transformer.Step(spans, Ignore);
}

BenchRow BenchRunner::TimePrompt(int64_t tokens, int repetitions) {
  BenchRow row;
  row.test = absl::StrCat("pp", tokens);
  row.tokens = tokens;
  Sequence sequence{model_.pages().NewTable(), {}};
  ReadPrompt(sequence, std::min<int64_t>(
                           tokens, model_.transformer().prompt_chunk_tokens()));
  const Meter meter(model_, executor_);
  for (int r = 0; r < repetitions; ++r) {
    const auto begin = std::chrono::steady_clock::now();
    ReadPrompt(sequence, tokens);
    const std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - begin;
    row.tokens_per_s.push_back(static_cast<double>(tokens) / elapsed.count());
  }
  meter.Finish(tokens * repetitions, row);
  model_.pages().Release(sequence.pages);
  return row;
}

BenchRow BenchRunner::TimeGeneration(int64_t tokens, int64_t depth,
                                     int64_t batch, int repetitions) {
  BenchRow row;
  row.test = absl::StrCat("tg", tokens);
  if (depth > 0) absl::StrAppend(&row.test, "@d", depth);
  if (batch > 1) absl::StrAppend(&row.test, " x", batch);
  row.depth = depth;
  row.tokens = tokens;
  row.batch = batch;
  std::vector<Sequence> sequences(batch);
  for (Sequence& sequence : sequences) {
    sequence.pages = model_.pages().NewTable();
    ReadPrompt(sequence, depth);
    MLAD_CHECK(model_.pages().Grow(sequence.pages, depth + tokens).ok());
  }
  GenerateStep(absl::MakeSpan(sequences), depth);
  const Meter meter(model_, executor_);
  for (int r = 0; r < repetitions; ++r) {
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < tokens; ++i) {
      GenerateStep(absl::MakeSpan(sequences), depth + i);
    }
    const std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - begin;
    row.tokens_per_s.push_back(static_cast<double>(tokens * batch) /
                               elapsed.count());
  }
  meter.Finish(tokens * batch * repetitions, row);
  for (Sequence& sequence : sequences) model_.pages().Release(sequence.pages);
  return row;
}

std::vector<BenchRow> BenchRunner::Run(
    const BenchPlan& plan,
    const std::function<void(const std::string&, double)>& report) {
  const double total = static_cast<double>(
      plan.prompts.size() +
      plan.generations.size() * plan.depths.size() * plan.batches.size());
  std::vector<BenchRow> rows;
  const auto done = [&] { return static_cast<double>(rows.size()) / total; };
  for (const int64_t tokens : plan.prompts) {
    report(absl::StrCat("pp", tokens), done());
    rows.push_back(TimePrompt(tokens, plan.repetitions));
  }
  for (const int64_t tokens : plan.generations) {
    for (const int64_t depth : plan.depths) {
      for (const int64_t batch : plan.batches) {
        report(absl::StrCat("tg", tokens, "@d", depth, " x", batch), done());
        rows.push_back(TimeGeneration(tokens, depth, batch, plan.repetitions));
      }
    }
  }
  return rows;
}

}  // namespace mlad
