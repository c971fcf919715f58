// Perplexity of the demo model over held-out text for every type of cache,
// against what a plain float32 implementation measured.
#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

#include "tests/model/demo_model.h"
#include "tests/model/model_runner.h"

#include "model/tokenizer.h"

namespace mlad {
namespace {

constexpr size_t kWindow = 1024;

double NegativeLogProbability(const ModelRunner::Logits& logits, int32_t id) {
  double peak = logits[0];
  for (const float logit : logits) peak = std::fmax(peak, logit);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - peak);
  return peak + std::log(sum) - logits[id];
}

enum class As { kPrompt, kGenerated };

std::vector<ModelRunner::Logits> AppendOneByOne(ModelRunner& runner,
                                                ModelRunner::Sequence& sequence,
                                                absl::Span<const int32_t> ids) {
  std::vector<ModelRunner::Logits> rows;
  for (const int32_t id : ids) {
    rows.push_back(runner.AppendEach({&sequence}, {id})[0]);
  }
  return rows;
}

/// Consecutive windows, every prediction within a window; as recorded.
double Perplexity(ModelRunner& runner, As as, absl::Span<const int32_t> ids) {
  double total = 0;
  int64_t predictions = 0;
  for (size_t at = 0; at + kWindow <= ids.size(); at += kWindow) {
    const auto window = ids.subspan(at, kWindow);
    ModelRunner::Sequence sequence = runner.NewSequence();
    const auto rows = as == As::kPrompt
                          ? runner.ReadAll(sequence, window)
                          : AppendOneByOne(runner, sequence, window);
    runner.Release(sequence);
    for (size_t i = 0; i + 1 < kWindow; ++i) {
      total += NegativeLogProbability(rows[i], window[i + 1]);
      ++predictions;
    }
  }
  return std::exp(total / static_cast<double>(predictions));
}

double RecordedPerplexity() {
  const nlohmann::json reference = ReadDemoReference();
  for (const auto& row : reference["heldout"]["results"]) {
    if (row["file"] == "tiny-mla-21m-q8_0.gguf" && row["variant"] == "f32 KV" &&
        row["protocol"] == "windows") {
      return row["ppl"];
    }
  }
  return 0;
}

TEST(Perplexity, StaysWithEveryCacheType) {
  const auto file = GgufFile::Open(kDemoModelPath, {});
  ASSERT_TRUE(file.ok());
  const auto tokenizer = Tokenizer::Create(**file);
  ASSERT_TRUE(tokenizer.ok());
  const std::vector<int32_t> ids =
      (*tokenizer)->Encode(ReadTextFile(kHeldOutTextPath), {});
  ASSERT_EQ(ids.size(), ReadDemoReference()["heldout"]["tokens_with_bos"]);

  const double recorded = RecordedPerplexity();
  ASSERT_GT(recorded, 1);
  const struct {
    KvType type;
    As as;
    double tolerance;  // relative
  } cases[] = {{KvType::kF16, As::kPrompt, 0.001},
               {KvType::kBF16, As::kPrompt, 0.005},
               {KvType::kQ8_0, As::kPrompt, 0.001},
               {KvType::kQ8KV, As::kPrompt, 0.005},
               {KvType::kQ6_0, As::kPrompt, 0.01},
               {KvType::kQ8KV, As::kGenerated, 0.005}};
  std::printf("| cache | perplexity | against f32 (%.4f) |\n|---|---|---|\n",
              recorded);
  for (const auto& [type, as, tolerance] : cases) {
    RunnerOptions options;
    options.kv_type = type;
    ModelRunner runner(kDemoModelPath, options);
    const double measured = Perplexity(runner, as, ids);
    std::printf("| %s%s | %.4f | %+.3f%% |\n",
                std::string(KvTypeName(type)).c_str(),
                as == As::kGenerated ? ", generated" : "", measured,
                100 * (measured / recorded - 1));
    EXPECT_NEAR(measured / recorded, 1, tolerance);
  }
}

}  // namespace
}  // namespace mlad
