// The demo model against logits and continuations recorded by a plain float32
// implementation that shares no code with this one.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "tests/model/demo_model.h"
#include "tests/model/model_runner.h"
#include "tests/model/test_file.h"

#include "kernels/kernels.h"

namespace mlad {
namespace {

/// Relative rms of the logits' difference.
///
/// Ours differ in three ways: the cache rounds each latent number to F16
/// (2^-11 at most, 2^-12.8 rms), activations are rounded to 2^-16 of their
/// block's peak before each product (about 2^-14 rms of a typical number, some
/// 10 products a layer), and sums run in another order (a few 2^-24).
/// Per layer that adds sqrt(2^-25.6 + 10 * 2^-28) = 2^-12.3 to the residual
/// stream if nothing averages out; 6 layers of independent errors give
/// sqrt(6) 2^-12.3 = 4.9e-4. A factor 4 covers what later layers amplify.
constexpr double kRelativeRms = 2e-3;

class DemoReference : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* isa = std::getenv("MLAD_ISA");
    if (!SelectKernels(isa == nullptr ? "" : isa).ok()) return;
    runner_ = new ModelRunner(kDemoModelPath, {});
  }
  static void TearDownTestSuite() { delete runner_; }
  void SetUp() override {
    if (runner_ == nullptr) GTEST_SKIP() << "this CPU lacks the ISA";
  }
  static ModelRunner* runner_;
};
ModelRunner* DemoReference::runner_ = nullptr;

void ExpectRecordedLogits(ModelRunner& runner, DemoVariant variant) {
  for (const DemoPrompt& prompt : ReadDemoPrompts(variant)) {
    SCOPED_TRACE(prompt.text);
    const ModelRunner::Logits logits = runner.LogitsAfter(prompt.ids);
    double error = 0, rms = 0;
    for (const auto& [id, expected] : prompt.top_logits) {
      error += std::pow(logits[id] - expected, 2);
    }
    for (const float logit : logits) rms += static_cast<double>(logit) * logit;
    rms = std::sqrt(rms / static_cast<double>(logits.size()));
    error = std::sqrt(error / static_cast<double>(prompt.top_logits.size()));
    EXPECT_NEAR(rms / prompt.logits_rms, 1, kRelativeRms);
    EXPECT_LE(error / prompt.logits_rms, kRelativeRms);
  }
}

TEST_F(DemoReference, LogitsAgree) {
  ExpectRecordedLogits(*runner_, DemoVariant::kGrouped);
}

TEST_F(DemoReference, LogitsAgreeWithoutExpertGroupsInTheMetadata) {
  // The key's name is hidden, so that the file does not mention groups.
  std::string bytes = ReadTextFile(kDemoModelPath);
  for (const std::string key :
       {"deepseek2.expert_group_count", "deepseek2.expert_group_used_count"}) {
    const size_t at = bytes.find(key);
    ASSERT_NE(at, std::string::npos);
    bytes[at] = 'D';
  }
  const std::byte* data = reinterpret_cast<const std::byte*>(bytes.data());
  ModelRunner ungrouped(
      WriteTestFile("ungrouped.gguf", {data, data + bytes.size()}), {});
  ExpectRecordedLogits(ungrouped, DemoVariant::kUngrouped);
}

TEST_F(DemoReference, GreedyContinuationsAgreeUntilLogitsAreClose) {
  for (const DemoPrompt& prompt : ReadDemoPrompts(DemoVariant::kGrouped)) {
    SCOPED_TRACE(prompt.text);
    const int count = static_cast<int>(prompt.first_close_step);
    std::vector<int32_t> ids = runner_->Greedy(prompt.ids, count);
    EXPECT_TRUE(std::equal(ids.begin(), ids.end(), prompt.greedy_ids.begin()));
  }
}

}  // namespace
}  // namespace mlad
