#include "tests/model/tiny_model.h"

#include <cmath>
#include <cstring>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "model/hyperparameters.h"

namespace mlad {
namespace {

std::vector<float> Floats(const GgufWriter::Tensor& tensor) {
  std::vector<float> values(tensor.data.size() / sizeof(float));
  std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

TEST(TinyModel, SplitAndFusedHoldTheSameValues) {
  TinyModelOptions options;
  options.v = 64;  // other than nope
  GgufWriter fused = TinyModel(options);
  options.split_kv_b = true;
  GgufWriter split = TinyModel(options);
  const std::string blk = "blk.1.";
  const auto kv = Floats(*fused.FindTensor(blk + "attn_kv_b.weight"));
  const auto keys = Floats(*split.FindTensor(blk + "attn_k_b.weight"));
  const auto values = Floats(*split.FindTensor(blk + "attn_v_b.weight"));
  const int lora = 64, nope = 32, v = 64;
  for (int h = 0; h < 4; ++h) {
    const float* head = kv.data() + h * (nope + v) * lora;
    for (int c = 0; c < lora; ++c) {
      for (int n = 0; n < nope; ++n) {
        ASSERT_EQ(keys[(h * lora + c) * nope + n], head[n * lora + c]);
      }
      for (int n = 0; n < v; ++n) {
        ASSERT_EQ(values[(h * v + n) * lora + c], head[(nope + n) * lora + c]);
      }
    }
  }
  EXPECT_EQ(Floats(*fused.FindTensor(blk + "attn_output.weight")),
            Floats(*split.FindTensor(blk + "attn_output.weight")));
}

TEST(TinyModel, SeedsAndNamesGiveDifferentValues) {
  GgufWriter one = TinyModel({}), two = TinyModel({.seed = 2});
  const auto values = Floats(*one.FindTensor("blk.0.ffn_gate.weight"));
  EXPECT_NE(values, Floats(*one.FindTensor("blk.0.ffn_up.weight")));
  EXPECT_NE(values, Floats(*two.FindTensor("blk.0.ffn_gate.weight")));
  // Unit variance of what 64 columns give.
  double sum = 0;
  for (const float v : values) sum += static_cast<double>(v) * v;
  EXPECT_NEAR(sum / static_cast<double>(values.size()) * 64, 1, 0.1);
}

TEST(TinyModel, EveryTypeIsAccepted) {
  for (const TensorType type :
       {TensorType::kF32, TensorType::kF16, TensorType::kBF16,
        TensorType::kQ8_0, TensorType::kQ4_0, TensorType::kIQ4_NL}) {
    const auto bytes = TinyModelBytes({.type = type});
    const auto file = GgufFile::Parse(bytes, {});
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_TRUE(ReadHyperparameters(**file).ok());
  }
}

class TensorEncoding : public ::testing::TestWithParam<TensorType> {};

TEST_P(TensorEncoding, DecodesToPlausibleValues) {
  const TensorType type = GetParam();
  std::vector<float> values(512);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::sin(static_cast<float>(i * i));
  }
  const std::vector<std::byte> bytes = EncodeTestTensor(type, values);
  std::vector<float> decoded(values.size());
  DequantizeRow(type, bytes.data(), 512, decoded.data());
  // Values are at most 1. Halves have 11 significant bits, bfloat16 8: half a
  // unit of the last place is 2^-12 and 2^-9. Q8_0: half a level of 1 / 127,
  // and the rounding of the scale to a half, 2^-11 at the largest code. The
  // codes of the other types are made up: twice the peak at most.
  const float bound = type == TensorType::kF32    ? 0
                      : type == TensorType::kF16  ? 0x1p-12f
                      : type == TensorType::kBF16 ? 0x1p-9f
                      : type == TensorType::kQ8_0 ? 0.5f / 127 + 0x1p-11f
                                                  : 3;
  float peak = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_LE(std::abs(decoded[i] - values[i]), bound) << i;
    peak = std::max(peak, std::abs(decoded[i]));
  }
  EXPECT_GT(peak, 0.3f);
}

std::string TypeName(const ::testing::TestParamInfo<TensorType>& type) {
  return std::string(GetTensorType(type.param).name);
}
INSTANTIATE_TEST_SUITE_P(
    AllTypes, TensorEncoding,
    ::testing::Values(TensorType::kF32, TensorType::kF16, TensorType::kBF16,
                      TensorType::kQ8_0, TensorType::kQ4_0, TensorType::kQ4_1,
                      TensorType::kQ5_0, TensorType::kQ5_1, TensorType::kQ2_K,
                      TensorType::kQ3_K, TensorType::kQ4_K, TensorType::kQ5_K,
                      TensorType::kQ6_K, TensorType::kIQ4_NL,
                      TensorType::kIQ4_XS, TensorType::kIQ1_S,
                      TensorType::kIQ1_M, TensorType::kIQ2_XXS,
                      TensorType::kIQ2_XS, TensorType::kIQ2_S,
                      TensorType::kIQ3_XXS, TensorType::kIQ3_S,
                      TensorType::kMXFP4),
    TypeName);

TEST(TinyVocabulary, IsComplete) {
  const TinyVocabulary vocabulary = MakeTinyVocabulary(600);
  ASSERT_EQ(vocabulary.tokens.size(), 600u);
  ASSERT_EQ(vocabulary.types.size(), 600u);
  EXPECT_EQ(vocabulary.tokens['a'], "a");
  EXPECT_EQ(vocabulary.tokens[' '], "\xC4\xA0");  // the stand-in of a space
  EXPECT_EQ(vocabulary.tokens[256], "ee");
  EXPECT_EQ(vocabulary.merges[0], "e e");
  EXPECT_EQ(vocabulary.tokens[500], "[w500]");
  EXPECT_EQ(vocabulary.bos, 596);
  EXPECT_EQ(vocabulary.eos, 597);
  EXPECT_EQ(vocabulary.types[596], 3);
  EXPECT_EQ(vocabulary.types[595], 1);
}

}  // namespace
}  // namespace mlad
