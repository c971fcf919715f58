#include "bench/bench_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "attention/latent_cache.h"
#include "base/round_up.h"

namespace mlad {
namespace {

int64_t Largest(const std::vector<int64_t>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

/// Tokens of whole pages such that, whatever node the first page is on, no node
/// holds more of them than an even share.
int64_t EvenTokens(int64_t tokens, int nodes) {
  const int64_t pages = PageAllocator::PagesForTokens(tokens);
  const int64_t round = kLanes % nodes == 0 ? nodes : kLanes;
  return RoundUp(pages, round) * kPagePositions;
}

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle]
                                : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

absl::StatusOr<CacheFill> ParseCacheFill(std::string_view name) {
  for (const CacheFill fill : {CacheFill::kPrompt, CacheFill::kRandom}) {
    if (name == CacheFillName(fill)) return fill;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no --fill '", std::string(name), "'; use prompt or random"));
}

std::string_view CacheFillName(CacheFill fill) {
  return fill == CacheFill::kPrompt ? "prompt" : "random";
}

int64_t BenchPlan::LargestBatch() const {
  return generations.empty() ? 1 : std::max<int64_t>(Largest(batches), 1);
}

int64_t BenchPlan::SequenceTokens() const {
  const int64_t prompt =
      prompts.empty() ? 0 : Largest(prompts) + Largest(prompt_depths);
  const int64_t generation =
      generations.empty() ? 0 : Largest(generations) + Largest(depths);
  return std::max<int64_t>({prompt, generation, 1});
}

int64_t BenchPlan::CacheTokens(int nodes) const {
  // The first sequence reads the prompts too; the others only generate.
  const int64_t first = EvenTokens(SequenceTokens(), nodes);
  const int64_t other =
      generations.empty()
          ? 0
          : EvenTokens(Largest(generations) + Largest(depths), nodes);
  return std::max(context, first + (LargestBatch() - 1) * other);
}

absl::Status BenchPlan::CheckFits(int64_t context_limit) const {
  if (SequenceTokens() <= context_limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the tests need ", SequenceTokens(), " positions, the model has ",
      context_limit, "; use a smaller --depth, --pp or --tg"));
}

double BenchRow::Median() const { return MedianOf(tokens_per_s); }

double BenchRow::MedianBarrierPercent() const {
  return MedianOf(barrier_percents);
}

double BenchRow::Least() const {
  return *std::min_element(tokens_per_s.begin(), tokens_per_s.end());
}

double BenchRow::Most() const {
  return *std::max_element(tokens_per_s.begin(), tokens_per_s.end());
}

double BenchRow::SpreadPercent() const {
  return 100 * (Most() - Least()) / Median();
}

std::string BenchTestName(BenchKind kind, int64_t tokens, int64_t depth,
                          int64_t batch) {
  std::string name =
      absl::StrCat(kind == BenchKind::kPrompt ? "pp" : "tg", tokens);
  if (depth > 0) absl::StrAppend(&name, "@d", depth);
  if (batch > 1) absl::StrAppend(&name, " b", batch);
  return name;
}

}  // namespace mlad
