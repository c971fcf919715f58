// The forms of attention agree with each other, and so do the layouts that
// files come in.
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "tests/model/model_runner.h"
#include "tests/model/tiny_model.h"

namespace mlad {
namespace {

std::vector<int32_t> SomeIds(int count, int64_t vocab) {
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) {
    ids.push_back(static_cast<int32_t>((i * 7919 + i * i * 31 + 5) % vocab));
  }
  return ids;
}

double RelativeRms(const ModelRunner::Logits& a, const ModelRunner::Logits& b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

ModelRunner MakeRunner(const std::string& path, int64_t chunk_tokens) {
  RunnerOptions options;
  options.chunk_tokens = chunk_tokens;
  return ModelRunner(path, options);
}

/// Both forms read the same cache, so they differ by rounding only. Absorbing
/// quantises q_nope and the attention's output before W_uk and W_uv (2^-16 of
/// the block's peak, about 2^-14 of a typical number); expanding computes in
/// f32 (2^-24 per operation, some 100 of them in sequence). Over 3 layers the
/// difference grows with their number and by what norms and experts amplify,
/// for which a factor of 8 is allowed: 3 * 8 * 2^-14 = 1.5e-3.
constexpr double kFormsBound = 1.5e-3;

TEST(Forward, ExpandedEqualsAbsorbed) {
  for (const int64_t q_lora : {0, 32}) {
    TinyModelOptions options;
    options.q_lora = q_lora;
    const std::string path = TinyModelFile("forms.gguf", options);
    const std::vector<int32_t> ids = SomeIds(144, options.vocab);
    ModelRunner expanding = MakeRunner(path, 16);
    ModelRunner absorbing = MakeRunner(path, 256);
    EXPECT_LT(
        RelativeRms(expanding.LogitsAfter(ids), absorbing.LogitsAfter(ids)),
        kFormsBound);
  }
}

TEST(Forward, ChunkedEqualsWhole) {
  const std::string path = TinyModelFile("chunks.gguf", {});
  const std::vector<int32_t> ids = SomeIds(256, 320);
  ModelRunner whole = MakeRunner(path, 256);
  const ModelRunner::Logits expected = whole.LogitsAfter(ids);
  for (const int64_t chunk : {16, 32, 64, 128}) {
    ModelRunner chunked = MakeRunner(path, chunk);
    EXPECT_LT(RelativeRms(chunked.LogitsAfter(ids), expected), kFormsBound)
        << "chunks of " << chunk;
  }
}

TEST(Forward, EveryRowOfAPromptHasTheLogitsOfItsPrefix) {
  const std::string path = TinyModelFile("rows.gguf", {});
  const std::vector<int32_t> ids = SomeIds(40, 320);
  ModelRunner runner = MakeRunner(path, 16);
  ModelRunner::Sequence sequence = runner.NewSequence();
  const auto rows = runner.ReadAll(sequence, ids);
  ASSERT_EQ(rows.size(), ids.size());
  for (const int length : {1, 15, 16, 17, 32, 33, 40}) {
    const auto prefix = absl::MakeConstSpan(ids).subspan(0, length);
    EXPECT_LT(RelativeRms(rows[length - 1], runner.LogitsAfter(prefix)),
              kFormsBound)
        << length << " ids";
  }
}

TEST(Forward, FusedAndSplitFilesComputeTheSame) {
  TinyModelOptions options;
  const std::string fused = TinyModelFile("fused.gguf", options);
  options.split_kv_b = true;
  const std::string split = TinyModelFile("split.gguf", options);
  const std::vector<int32_t> ids = SomeIds(50, options.vocab);
  // Float weights are stored as they are: not even rounding differs.
  EXPECT_EQ(MakeRunner(fused, 16).LogitsAfter(ids),
            MakeRunner(split, 16).LogitsAfter(ids));
}

TEST(Forward, ComputeMemoryDoesNotGrowWithTheContext) {
  const std::string path = TinyModelFile("memory.gguf", {});
  RunnerOptions small, large;
  small.cache_tokens = 1024;
  large.cache_tokens = 65536;
  const PlacementPlan few = ModelRunner(path, small).loaded().plan();
  const PlacementPlan many = ModelRunner(path, large).loaded().plan();
  EXPECT_EQ(few.compute_bytes, many.compute_bytes);
  EXPECT_EQ(64 * few.kv_bytes_capacity, many.kv_bytes_capacity);
}

TEST(Forward, TiedOutputIsTheEmbedding) {
  TinyModelOptions options;
  options.tied_output = true;
  ModelRunner runner = MakeRunner(TinyModelFile("tied.gguf", options), 16);
  for (const float logit : runner.LogitsAfter(SomeIds(20, options.vocab))) {
    EXPECT_TRUE(std::isfinite(logit));
  }
}

}  // namespace
}  // namespace mlad
