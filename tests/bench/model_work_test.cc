#include "bench/model_work.h"

#include <gtest/gtest.h>

#include "tests/model/tiny_model.h"

namespace mlad {
namespace {

// Matrices of the tiny model, numbers a token is multiplied with.
constexpr double kHidden = 64, kHeads = 4, kLatent = 64, kRope = 32, kHead = 32,
                 kQueryLora = 32, kVocab = 320;
constexpr double kAttention =
    kHidden * kQueryLora + kQueryLora * kHeads * (kHead + kRope) +
    kHidden * (kLatent + kRope) + kLatent * kHeads * (kHead + kHead) +
    kHeads * kHead * kHidden;
constexpr double kDense = 3 * kHidden * 96;
constexpr double kRouter = kHidden * 8;
constexpr double kExpert = 3 * kHidden * 32;
// 3 layers, the first dense; 2 experts and a shared one.
constexpr double kMatrices = 3 * kAttention + kDense + 2 * 3 * kExpert;
constexpr double kLayers = 3;

TokenWork Generated(const TinyModelOptions& options, KvType kv_type) {
  const auto file = GgufFile::Open(TinyModelFile("work.gguf", options), {});
  const auto shape = ReadHyperparameters(**file);
  return ModelWork(**file, *shape, kv_type).GeneratedToken(100, 1);
}

TEST(ModelWork, CountsTheMatricesATokenMeets) {
  TinyModelOptions options;
  options.type = TensorType::kQ8_0;
  options.nextn_layers = 1;  // left out
  for (const bool split : {false, true}) {
    options.split_kv_b = split;
    const TokenWork work = Generated(options, KvType::kF16);
    EXPECT_DOUBLE_EQ(work.int8_ops, 2 * (kMatrices + kHidden * kVocab));
    // The router is F32, and so are the latents: 101 positions.
    EXPECT_DOUBLE_EQ(work.f32_ops,
                     2 * (2 * kRouter + kLayers * kHeads * 101 *
                                            (kLatent + kRope + kLatent)));
  }
}

TEST(ModelWork, Int8CodesOfTheCacheCountAsInt8) {
  TinyModelOptions options;
  options.type = TensorType::kQ8_0;
  const TokenWork f16 = Generated(options, KvType::kF16);
  const TokenWork q8_kv = Generated(options, KvType::kQ8KV);
  EXPECT_DOUBLE_EQ(q8_kv.f32_ops, 2 * 2 * kRouter);
  EXPECT_DOUBLE_EQ(q8_kv.ops(), f16.ops());
}

TEST(ModelWork, FloatWeightsAreFloatOperations) {
  const TokenWork work = Generated({}, KvType::kQ8_0);
  EXPECT_DOUBLE_EQ(work.f32_ops,
                   2 * (kMatrices + 2 * kRouter + kHidden * kVocab));
}

TEST(ModelWork, PromptTokensShareOneRowOfLogits) {
  const auto file = GgufFile::Open(TinyModelFile("work.gguf", {}), {});
  const auto shape = ReadHyperparameters(**file);
  const ModelWork work(**file, *shape, KvType::kF16);
  // Tokens 0..9 after 90 see 91..100 positions, 95.5 on average.
  EXPECT_DOUBLE_EQ(work.PromptToken(90, 10).f32_ops,
                   2 * (kMatrices + 2 * kRouter + kHidden * kVocab / 10 +
                        kLayers * kHeads * 95.5 * (kHead + kRope + kHead)));
}

}  // namespace
}  // namespace mlad
