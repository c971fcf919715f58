// A small model in every tensor type, on every instruction set, against the
// same model with its weights decoded to F32 beforehand.
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/model/model_runner.h"
#include "tests/model/test_file.h"
#include "tests/model/tiny_model.h"
#include "tests/quant/random_tensor.h"

namespace mlad {
namespace {

constexpr int64_t kChunk = 32;
constexpr int64_t kNoChunk = 512;
constexpr int kPromptTokens = 41;  // a chunk of kChunk, and a tail
constexpr int kMoreTokens = 3;
constexpr int kLayers = 2;

/// Rows of whole blocks of 256 columns. All experts are chosen: which ones are
/// is a matter of less than a rounding where scores are close.
TinyModelOptions ModelOf(TensorType type) {
  TinyModelOptions options;
  options.layers = kLayers;
  options.hidden = 256;
  options.q_lora = 256;
  options.kv_lora = 256;
  options.heads = 4;
  options.nope = 64;
  options.v = 64;
  options.ffn = 512;
  options.experts = 4;
  options.experts_used = 4;
  options.expert_ffn = 256;
  options.type = type;
  return options;
}

/// The same model, its quantised tensors decoded.
GgufWriter Decoded(GgufWriter model) {
  uint64_t offset = 0;
  for (GgufWriter::Tensor& tensor : model.tensors) {
    const auto type = static_cast<TensorType>(tensor.type);
    const int64_t bytes = static_cast<int64_t>(tensor.data.size());
    const TensorTypeInfo& info = GetTensorType(type);
    std::vector<float> values(bytes / info.block_bytes * info.block_elements);
    DequantizeRow(type, tensor.data.data(), static_cast<int64_t>(values.size()),
                  values.data());
    tensor.data.resize(values.size() * sizeof(float));
    std::memcpy(tensor.data.data(), values.data(), tensor.data.size());
    tensor.type = static_cast<uint32_t>(TensorType::kF32);
    tensor.offset = offset;
    offset += (tensor.data.size() + model.alignment - 1) / model.alignment *
              model.alignment;
  }
  return model;
}

/// Logits of every token of a prompt and of some more, one by one.
std::vector<ModelRunner::Logits> LogitsOf(const std::string& path,
                                          const KernelTable* kernels,
                                          int64_t chunk_tokens) {
  RunnerOptions options;
  options.kernels = kernels;
  options.chunk_tokens = chunk_tokens;
  options.cache_tokens = 512;
  ModelRunner runner(path, options);
  std::vector<int32_t> ids;
  for (int i = 0; i < kPromptTokens + kMoreTokens; ++i) {
    ids.push_back(i * i * 31 % 300);
  }
  const absl::Span<const int32_t> all = ids;
  ModelRunner::Sequence sequence = runner.NewSequence();
  auto result = runner.ReadAll(sequence, all.subspan(0, kPromptTokens));
  for (int i = kPromptTokens; i < kPromptTokens + kMoreTokens; ++i) {
    result.push_back(runner.Append(sequence, all.subspan(i, 1)));
  }
  runner.Release(sequence);
  return result;
}

double RelativeRms(const std::vector<ModelRunner::Logits>& logits,
                   const std::vector<ModelRunner::Logits>& expected) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    for (size_t j = 0; j < logits[i].size(); ++j) {
      error += std::pow(logits[i][j] - expected[i][j], 2);
      norm += std::pow(expected[i][j], 2);
    }
  }
  return std::sqrt(error / norm);
}

/// What a matmul with quantised weights adds: activations are rounded to a step
/// of 1/32639, in chunks 1/127, of their block's peak, which is at most 4 times
/// the rms of 32 numbers that are about normal. A rounding is uniform, so its
/// rms is the step over sqrt(12).
constexpr double kActivationError = 4 / (32639 * 3.46);
constexpr double kChunkActivationError = 4 / (127 * 3.46);
/// The key half of attn_kv_b is transposed into halves: 2^-12 at most, uniform.
constexpr double kTransposeError = 0x1p-12 / 1.73;
/// One after the other in a layer: q_a, q_b or kv_a, the absorbed or expanded
/// keys, values, output; gate and up, down.
constexpr int kMatMulsInALayer = 7;
/// If all errors of a layer add up; and a factor of 2 for what the softmax and
/// SiLU make of theirs.
constexpr double Bound(double activation_error) {
  return 2 *
         (kLayers * (kMatMulsInALayer * activation_error + kTransposeError) +
          activation_error);
}

class Formats : public ::testing::TestWithParam<TensorType> {};

TEST_P(Formats, EveryTableComputesWhatDecodedWeightsGive) {
  const std::string name(GetTensorType(GetParam()).name);
  const GgufWriter model = TinyModel(ModelOf(GetParam()));
  const std::string path = WriteTestFile("formats-" + name, model.Build());
  const std::string decoded_path =
      WriteTestFile("formats-decoded-" + name, Decoded(model).Build());
  for (const KernelTable* kernels : SupportedKernels()) {
    const std::string isa(IsaName(kernels->isa));
    SCOPED_TRACE(isa);
    const auto error = [&](int64_t chunk_tokens) {
      return RelativeRms(LogitsOf(path, kernels, chunk_tokens),
                         LogitsOf(decoded_path, kernels, chunk_tokens));
    };
    const double alone = error(kNoChunk);
    const double chunked = error(kChunk);
    EXPECT_LT(alone, Bound(kActivationError));
    EXPECT_LT(chunked, Bound(kChunkActivationError));
    std::printf("%s, %s: relative rms %.2e, with a chunk %.2e\n", name.c_str(),
                isa.c_str(), alone, chunked);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, Formats,
                         ::testing::ValuesIn(mlad::testing::AllTensorTypes()),
                         [](const auto& param) {
                           return std::string(GetTensorType(param.param).name);
                         });

}  // namespace
}  // namespace mlad
