// Times prompts and generation on a loaded model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/types/span.h"

#include "model/loaded_model.h"
#include "numa/executor.h"

namespace mlad {

/// One line of the table.
struct BenchRow {
  std::string test;   // "pp512", "tg64@d4096", "tg64@d128 x8"
  int64_t depth = 0;  // tokens in the cache before
  int64_t tokens = 0;
  int64_t batch = 1;                 // sequences at once
  std::vector<double> tokens_per_s;  // of each repetition, all sequences
  double bytes_per_token = 0;        // read by all workers
  double barrier_percent = 0;        // of the workers' time within steps

  double Median() const;
  double Least() const;
  double Most() const;
};

struct BenchPlan {
  std::vector<int64_t> prompts;      // lengths; each from an empty cache
  std::vector<int64_t> generations;  // tokens, at each depth
  std::vector<int64_t> depths = {0};
  std::vector<int64_t> batches = {1};
  int repetitions = 5;

  /// Cache that the largest test needs.
  int64_t CacheTokens() const;
};

class BenchRunner {
 public:
  BenchRunner(LoadedModel& model, const Executor& executor)
      : model_(model), executor_(executor) {}

  /// Runs every test after one warm-up each. `report` is told what is being
  /// done, and the share done.
  std::vector<BenchRow> Run(
      const BenchPlan& plan,
      const std::function<void(const std::string&, double)>& report);

 private:
  struct Sequence {
    PageTable pages;
    std::vector<int32_t> ids;  // of the step being prepared
  };
  class Meter;

  BenchRow TimePrompt(int64_t tokens, int repetitions);
  BenchRow TimeGeneration(int64_t tokens, int64_t depth, int64_t batch,
                          int repetitions);
  void ReadPrompt(Sequence& sequence, int64_t tokens);
  void GenerateStep(absl::Span<Sequence> sequences, int64_t position);

  LoadedModel& model_;
  const Executor& executor_;
};

}  // namespace mlad
