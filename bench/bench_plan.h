// What mla-bench is asked to time, and what came out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "bench/model_work.h"

namespace mlad {

/// How the cache comes to hold the tokens before a test.
enum class CacheFill : uint8_t {
  kPrompt,  // the model reads them as a prompt
  kRandom,  // random latents are stored: speed depends on depth, not on values
};

/// "prompt", "random". Errors: kInvalidArgument naming them.
absl::StatusOr<CacheFill> ParseCacheFill(std::string_view name);
std::string_view CacheFillName(CacheFill fill);

struct BenchPlan {
  std::vector<int64_t> prompts;              // lengths
  std::vector<int64_t> prompt_depths = {0};  // tokens in the cache before
  std::vector<int64_t> generations;          // tokens
  std::vector<int64_t> depths = {0};         // tokens in the cache before
  std::vector<int64_t> batches = {1};        // sequences at once
  int repetitions = 5;
  int64_t context = 0;  // room in the cache for so many tokens at least
  CacheFill fill = CacheFill::kPrompt;

  int64_t LargestBatch() const;
  /// Positions of the longest sequence.
  int64_t SequenceTokens() const;
  /// Cache with which every sequence of every test finds its pages, whichever
  /// node its first page is on.
  int64_t CacheTokens(int nodes) const;
  /// Errors: kInvalidArgument when a test is longer than the model's context.
  absl::Status CheckFits(int64_t context_limit) const;
};

enum class BenchKind : uint8_t { kPrompt, kGeneration };

/// One line of the table.
struct BenchRow {
  std::string test;  // "pp512", "tg64@d4096", "tg64@d128 b8"
  BenchKind kind = BenchKind::kPrompt;
  int64_t depth = 0;  // tokens in the cache before
  int64_t tokens = 0;
  int64_t batch = 1;                     // sequences at once
  std::vector<double> tokens_per_s;      // of each repetition, all sequences
  std::vector<double> barrier_percents;  // of each: of the workers' time within
                                         // steps
  double bytes_per_token = 0;            // read by all workers
  TokenWork work;                        // what a token asks for at least

  double Median() const;
  double MedianBarrierPercent() const;
  double Least() const;
  double Most() const;
  /// (most - least) / median
  double SpreadPercent() const;
};

/// "pp512@d4096", "tg64@d128 b8": depth 0 and batch 1 go without saying.
std::string BenchTestName(BenchKind kind, int64_t tokens, int64_t depth,
                          int64_t batch);

}  // namespace mlad
