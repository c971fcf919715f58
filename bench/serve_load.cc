#include "bench/serve_load.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "base/status.h"

namespace mlad {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int64_t kMostTokens = int64_t{1} << 24;

/// In (0, 1]. Own code: the distributions of <random> differ between libraries.
double Uniform(std::mt19937_64& random) {
  return static_cast<double>((random() >> 11) + 1) * 0x1p-53;
}

/// Source Box and Muller, 1958
double Normal(std::mt19937_64& random) {
  const double radius = std::sqrt(-2 * std::log(Uniform(random)));
  return radius * std::cos(2 * kPi * Uniform(random));
}

void AppendIds(int64_t count, uint64_t seed, int64_t vocab_size,
               std::vector<int32_t>& ids) {
  std::mt19937_64 random(seed);
  const int64_t first = vocab_size / 50;
  const int64_t ordinary = std::max<int64_t>(1, vocab_size * 9 / 10 - first);
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<int32_t>(
        first +
        static_cast<int64_t>(random() % static_cast<uint64_t>(ordinary))));
  }
}

}  // namespace

absl::StatusOr<LengthDistribution> LengthDistribution::Parse(
    std::string_view text) {
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(text.data(), text.size()), ':');
  LengthDistribution lengths;
  const bool is_fixed = parts.size() == 1 &&
                        absl::SimpleAtod(parts[0], &lengths.median_) &&
                        absl::SimpleAtoi(parts[0], &lengths.most_);
  const bool is_lognormal = parts.size() == 4 && parts[0] == "lognormal" &&
                            absl::SimpleAtod(parts[1], &lengths.median_) &&
                            absl::SimpleAtod(parts[2], &lengths.sigma_) &&
                            absl::SimpleAtoi(parts[3], &lengths.most_);
  const bool in_range = lengths.median_ >= 1 && lengths.sigma_ >= 0 &&
                        lengths.sigma_ <= 10 && lengths.most_ >= 1 &&
                        lengths.most_ <= kMostTokens;
  if ((is_fixed || is_lognormal) && in_range) return lengths;
  return absl::InvalidArgumentError(
      absl::StrCat("'", absl::string_view(text.data(), text.size()),
                   "' is neither a number of tokens nor "
                   "lognormal:MEDIAN:SIGMA:MOST, as in ",
                   kConversationPrompts));
}

int64_t LengthDistribution::Draw(std::mt19937_64& random) const {
  double length = median_;
  if (sigma_ > 0) length *= std::exp(sigma_ * Normal(random));
  return std::clamp<int64_t>(std::llround(std::min(length, 1e15)), 1, most_);
}

absl::StatusOr<std::vector<RequestLengths>> ParseTrace(std::string_view csv) {
  const std::vector<std::string> lines =
      absl::StrSplit(absl::string_view(csv.data(), csv.size()),
                     absl::ByAnyChar("\r\n"), absl::SkipWhitespace());
  if (lines.empty()) return absl::InvalidArgumentError("the trace is empty");
  const std::vector<std::string> head = absl::StrSplit(lines[0], ',');
  const auto column = [&](const char* name) {
    return static_cast<size_t>(std::find(head.begin(), head.end(), name) -
                               head.begin());
  };
  const size_t prompt = column("ContextTokens");
  const size_t output = column("GeneratedTokens");
  if (std::max(prompt, output) >= head.size()) {
    return absl::InvalidArgumentError(
        "the trace's first line does not name the columns ContextTokens and "
        "GeneratedTokens");
  }
  std::vector<RequestLengths> trace;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> cells = absl::StrSplit(lines[i], ',');
    RequestLengths lengths;
    if (cells.size() <= std::max(prompt, output) ||
        !absl::SimpleAtoi(cells[prompt], &lengths.prompt_tokens) ||
        !absl::SimpleAtoi(cells[output], &lengths.output_tokens) ||
        lengths.prompt_tokens > kMostTokens ||
        lengths.output_tokens > kMostTokens) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", i + 1, " of the trace has no such numbers of tokens"));
    }
    lengths.prompt_tokens = std::max<int64_t>(1, lengths.prompt_tokens);
    lengths.output_tokens = std::max<int64_t>(1, lengths.output_tokens);
    trace.push_back(lengths);
  }
  if (trace.empty()) return absl::InvalidArgumentError("the trace is empty");
  return trace;
}

std::vector<PlannedRequest> PlanRequests(const LoadPlan& plan) {
  std::mt19937_64 random(plan.seed);
  std::vector<PlannedRequest> requests;
  double at_s = 0;
  for (int64_t i = 0; i < plan.requests; ++i) {
    PlannedRequest& request = requests.emplace_back();
    if (plan.rate > 0 && i > 0) at_s -= std::log(Uniform(random)) / plan.rate;
    request.at_s = at_s;
    RequestLengths& lengths = request.lengths;
    if (plan.trace.empty()) {
      lengths.prompt_tokens = plan.prompts.Draw(random);
      lengths.output_tokens = plan.answers.Draw(random);
    } else {
      lengths = plan.trace[random() % plan.trace.size()];
    }
    if (plan.most_tokens > 0) {
      lengths.output_tokens = std::min(
          lengths.output_tokens, std::max<int64_t>(1, plan.most_tokens / 2));
      lengths.prompt_tokens = std::min(
          lengths.prompt_tokens,
          std::max<int64_t>(1, plan.most_tokens - lengths.output_tokens));
    }
  }
  return requests;
}

std::vector<int32_t> RandomPrompt(int64_t tokens, int64_t shared, uint64_t seed,
                                  int64_t index, int64_t vocab_size) {
  std::vector<int32_t> ids;
  shared = std::min(shared, tokens);
  AppendIds(shared, seed, vocab_size, ids);
  AppendIds(tokens - shared, seed * 1000003 + static_cast<uint64_t>(index) + 1,
            vocab_size, ids);
  return ids;
}

}  // namespace mlad
