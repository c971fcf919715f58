// Invariant I2 on the published shapes: one layer of experts of
// DeepSeek-V2-Lite and of DeepSeek-V3 with their hidden sizes, heads, ranks and
// widths of experts. Only what is repeated is cut: layers, experts and the
// vocabulary.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/model/model_runner.h"

#include "bench/synth_file.h"

namespace mlad {
namespace {

constexpr int64_t kChunk = 16;
constexpr int64_t kVocabulary = 4096;
constexpr int kNeighbours = 7;

SynthShape CutShape(const std::string& preset) {
  SynthShape shape = *FindSynthShape(preset);
  shape.vocab = kVocabulary;
  shape.layers = preset == "v3" ? 1 : 2;
  shape.dense_layers = shape.layers - 1;
  if (preset == "v3") {
    shape.experts = 16;  // in 8 groups
    shape.experts_used = 4;
  }
  return shape;
}

std::string ModelFile(const std::string& preset) {
  const char* folder = std::getenv("MLAD_SYNTHETIC_MODELS");
  const std::filesystem::path path =
      std::filesystem::path(folder == nullptr ? "/tmp" : folder) /
      (preset + "-same-bits.gguf");
  if (!std::filesystem::exists(path)) {
    std::filesystem::create_directories(path.parent_path());
    SynthFile file;
    file.path = path.string() + ".part";
    file.shape = CutShape(preset);
    file.types.matrices = TensorType::kIQ4_NL;
    EXPECT_TRUE(WriteSynthFile(file).ok());
    std::filesystem::rename(file.path, path);
  }
  return path.string();
}

/// A prompt of a chunk and a tail, and what comes after it.
struct Text {
  std::vector<int32_t> prompt;
  std::vector<int32_t> more;
};

Text MakeText(int32_t seed) {
  Text text;
  uint32_t state = 4321u + static_cast<uint32_t>(seed);
  const auto next = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<int32_t>((state >> 8) % kVocabulary);
  };
  for (int i = 0; i < kChunk + 2 + seed % 3; ++i) text.prompt.push_back(next());
  for (int i = 0; i < 2; ++i) text.more.push_back(next());
  return text;
}

/// Logits of text 0, after its prompt and each further token, while that many
/// other texts are in the batch.
std::vector<ModelRunner::Logits> RunText(ModelRunner& runner, int neighbours) {
  std::vector<Text> texts;
  std::vector<ModelRunner::Sequence> sequences;
  std::vector<ModelRunner::Logits> result;
  for (int i = 0; i <= neighbours; ++i) {
    texts.push_back(MakeText(i));
    sequences.push_back(runner.NewSequence());
    const auto logits = runner.Read(sequences.back(), texts.back().prompt);
    if (i == 0) result.push_back(logits);
  }
  std::vector<ModelRunner::Sequence*> all;
  for (auto& sequence : sequences) all.push_back(&sequence);
  for (size_t step = 0; step < texts[0].more.size(); ++step) {
    std::vector<int32_t> ids;
    for (const Text& text : texts) ids.push_back(text.more[step]);
    result.push_back(runner.AppendEach(all, ids).at(0));
  }
  for (auto& sequence : sequences) runner.Release(sequence);
  return result;
}

struct Case {
  std::string preset;
  KvType kv = KvType::kF16;
};

class SameBitsOfShape : public testing::TestWithParam<Case> {
 protected:
  static ModelRunner MakeRunner(MoePlacement experts, int nodes, int threads) {
    RunnerOptions options;
    options.kv_type = GetParam().kv;
    options.experts = {experts, 0};
    options.nodes = nodes;
    options.threads_per_node = threads;
    options.chunk_tokens = kChunk;
    options.cache_tokens = 2048;
    return ModelRunner(ModelFile(GetParam().preset), options);
  }
};

TEST_P(SameBitsOfShape, OnNodesThreadsPlacementsAndWithNeighbours) {
  ModelRunner one = MakeRunner(MoePlacement::kSliced, 1, 1);
  const auto expected = RunText(one, 0);
  for (const auto experts : {MoePlacement::kSliced, MoePlacement::kWhole}) {
    for (const int nodes : {1, 2, 4, 8}) {
      for (const int threads : {1, 2}) {
        SCOPED_TRACE(testing::Message()
                     << nodes << " nodes of " << threads << ", experts "
                     << MoePlacementName(experts));
        ModelRunner runner = MakeRunner(experts, nodes, threads);
        EXPECT_EQ(RunText(runner, 0), expected);
        EXPECT_EQ(RunText(runner, kNeighbours), expected) << "with neighbours";
      }
    }
  }
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* preset : {"lite", "v3"}) {
    for (const KvType kv : kAllKvTypes) cases.push_back({preset, kv});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Shapes, SameBitsOfShape, testing::ValuesIn(Cases()),
                         [](const auto& param) {
                           return param.param.preset + "_" +
                                  std::string(KvTypeName(param.param.kv));
                         });

}  // namespace
}  // namespace mlad
