// Times prompts and generation on a loaded model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

#include "bench/bench_plan.h"
#include "bench/cached_sequence.h"
#include "bench/model_work.h"
#include "kernels/kernels.h"
#include "model/loaded_model.h"
#include "numa/executor.h"

namespace mlad {

/// Told what is being done, and the share of all tests done.
using BenchProgress = std::function<void(const std::string&, double)>;

class BenchRunner {
 public:
  struct Parts {
    LoadedModel& model;
    Executor& executor;
    const KernelTable& kernels;
    const ModelWork& work;
  };

  BenchRunner(const Parts& parts, BenchPlan plan, BenchProgress progress);

  /// Runs every test after a warm-up each; rows in the order of the plan's
  /// lists. Cache depths are visited in ascending order, so that each is filled
  /// from the one before.
  std::vector<BenchRow> Run();

 private:
  struct Counters;

  void RunPrompts(std::vector<BenchRow>& rows);
  void RunGenerations(std::vector<BenchRow>& rows);
  BenchRow TimePrompt(int64_t tokens, int64_t depth);
  BenchRow TimeGeneration(int64_t tokens, int64_t depth, int64_t batch);
  Counters ReadCounters() const;
  /// Times work(), which makes `tokens` tokens, as often as planned.
  void Repeat(int64_t tokens, BenchRow& row, absl::FunctionRef<void()> work);
  void FillTo(int64_t depth, const std::string& before);
  void Report(const std::string& what);

  Parts parts_;
  BenchPlan plan_;
  BenchProgress progress_;
  CacheFiller filler_;
  std::vector<CachedSequence> sequences_;  // [LargestBatch()]
  double tests_done_ = 0;
  double tests_ = 0;
};

}  // namespace mlad
