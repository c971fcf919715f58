// Invariant I2: the bits of a request's logits do not depend on nodes, workers
// or what else is computed in the same step.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/model/demo_model.h"
#include "tests/model/model_runner.h"
#include "tests/model/tiny_model.h"

namespace mlad {
namespace {

constexpr int64_t kChunk = 32;

/// A prompt of two chunks and a tail, then four more tokens, one by one.
struct Text {
  std::vector<int32_t> prompt;
  std::vector<int32_t> more;
};

Text MakeText(int64_t vocab, int32_t seed) {
  Text text;
  uint32_t state = 12345u + static_cast<uint32_t>(seed);
  const auto next = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocab));
  };
  for (int i = 0; i < 2 * kChunk + 9 + seed; ++i) text.prompt.push_back(next());
  for (int i = 0; i < 4; ++i) text.more.push_back(next());
  return text;
}

/// Logits after the prompt and after each further token.
std::vector<ModelRunner::Logits> RunAlone(ModelRunner& runner,
                                          const Text& text) {
  ModelRunner::Sequence sequence = runner.NewSequence();
  std::vector<ModelRunner::Logits> result = {
      runner.Read(sequence, text.prompt)};
  for (const int32_t id : text.more) {
    result.push_back(runner.Append(sequence, absl::MakeConstSpan(&id, 1)));
  }
  runner.Release(sequence);
  return result;
}

/// The same for text 0, while `neighbours` other sequences are in the batch.
std::vector<ModelRunner::Logits> RunWithNeighbours(ModelRunner& runner,
                                                   int64_t vocab,
                                                   int neighbours) {
  std::vector<Text> texts;
  std::vector<ModelRunner::Sequence> sequences;
  std::vector<ModelRunner::Logits> result;
  for (int i = 0; i <= neighbours; ++i) {
    texts.push_back(MakeText(vocab, i));
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

struct Model {
  std::string name;
  std::string path;
};

std::vector<Model> Models() {
  TinyModelOptions v3;
  v3.type = TensorType::kQ8_0;
  v3.groups = 4;
  v3.groups_used = 2;
  TinyModelOptions v2;
  v2.type = TensorType::kF16;
  v2.q_lora = 0;
  v2.gating = 1;
  v2.router_bias = false;
  v2.weights_norm = false;
  v2.split_kv_b = true;
  v2.yarn_factor = 4;
  return {{"demo", kDemoModelPath},
          {"v3 shape", TinyModelFile("same-bits-v3.gguf", v3)},
          {"v2 shape", TinyModelFile("same-bits-v2.gguf", v2)}};
}

ModelRunner MakeRunner(const Model& model, KvType kv, int nodes,
                       int threads_per_node, ExpertPlan experts = {}) {
  RunnerOptions options;
  options.kv_type = kv;
  options.experts = experts;
  options.nodes = nodes;
  options.threads_per_node = threads_per_node;
  options.chunk_tokens = kChunk;
  options.cache_tokens = 4096;
  return ModelRunner(model.path, options);
}

class Bits : public testing::Test {
  void SetUp() override {
    const char* isa = std::getenv("MLAD_ISA");
    if (!SelectKernels(isa == nullptr ? "" : isa).ok()) {
      GTEST_SKIP() << "this CPU lacks the ISA";
    }
  }
};

class SameBits : public Bits, public testing::WithParamInterface<KvType> {};

TEST_P(SameBits, OnAnyNumberOfNodesAndThreads) {
  for (const Model& model : Models()) {
    ModelRunner one = MakeRunner(model, GetParam(), 1, 1);
    const int64_t vocab = one.loaded().shape().vocab_size;
    const auto expected = RunAlone(one, MakeText(vocab, 0));
    EXPECT_EQ(RunAlone(one, MakeText(vocab, 0)), expected) << "repeated";
    for (const int nodes : {1, 2, 4, 8}) {
      for (const int threads : {1, 2}) {
        SCOPED_TRACE(testing::Message()
                     << model.name << ", " << nodes << " nodes of " << threads);
        ModelRunner runner = MakeRunner(model, GetParam(), nodes, threads);
        EXPECT_EQ(RunAlone(runner, MakeText(vocab, 0)), expected);
      }
    }
  }
}

TEST_P(SameBits, AloneOrWithNeighbours) {
  for (const Model& model : Models()) {
    for (const int nodes : {1, 2}) {
      SCOPED_TRACE(testing::Message()
                   << model.name << ", " << nodes << " nodes");
      ModelRunner runner = MakeRunner(model, GetParam(), nodes, 1);
      const int64_t vocab = runner.loaded().shape().vocab_size;
      const auto alone = RunAlone(runner, MakeText(vocab, 0));
      for (const int neighbours : {1, 7, 15}) {
        EXPECT_EQ(RunWithNeighbours(runner, vocab, neighbours), alone)
            << neighbours << " neighbours";
      }
    }
  }
}

TEST_P(SameBits, WithExpertsSlicedOrWhole) {
  const ExpertPlan whole = {MoePlacement::kWhole, 0};
  for (const Model& model : Models()) {
    ModelRunner one = MakeRunner(model, GetParam(), 1, 1);
    const int64_t vocab = one.loaded().shape().vocab_size;
    const auto expected = RunAlone(one, MakeText(vocab, 0));
    for (const int nodes : {1, 2, 4, 8}) {
      for (const int threads : {1, 2}) {
        SCOPED_TRACE(testing::Message()
                     << model.name << ", " << nodes << " nodes of " << threads);
        ModelRunner runner =
            MakeRunner(model, GetParam(), nodes, threads, whole);
        EXPECT_EQ(RunAlone(runner, MakeText(vocab, 0)), expected);
        if (threads == 1) {
          EXPECT_EQ(RunWithNeighbours(runner, vocab, 7), expected);
        }
      }
    }
  }
}

/// Logits after each of many tokens, one by one.
std::vector<ModelRunner::Logits> RunLong(ModelRunner& runner, int tokens) {
  ModelRunner::Sequence sequence = runner.NewSequence();
  std::vector<ModelRunner::Logits> result;
  for (int i = 0; i < tokens; ++i) {
    const int32_t id = 100 + i * 37 % 3000;
    result.push_back(runner.Append(sequence, absl::MakeConstSpan(&id, 1)));
  }
  runner.Release(sequence);
  return result;
}

TEST_F(Bits, AreTheSameWhileReplicasOfExpertsComeAndGo) {
  constexpr int kSteps = 2 * ExpertReplicas::kReviewSteps + 60;
  const Model demo = Models()[0];
  ModelRunner sliced = MakeRunner(demo, KvType::kF16, 1, 1);
  const auto expected = RunLong(sliced, kSteps);
  ModelRunner whole =
      MakeRunner(demo, KvType::kF16, 2, 1, {MoePlacement::kWhole, 2});
  EXPECT_EQ(RunLong(whole, kSteps), expected);
  const ExpertReplicas* replicas =
      whole.loaded().transformer().expert_replicas();
  ASSERT_NE(replicas, nullptr);
  for (const int node : {0, 1}) {
    EXPECT_EQ(replicas->On(1, node).size(), 2) << "node " << node;
  }
}

INSTANTIATE_TEST_SUITE_P(KvTypes, SameBits, testing::ValuesIn(kAllKvTypes),
                         [](const auto& param) {
                           return std::string(KvTypeName(param.param));
                         });

}  // namespace
}  // namespace mlad
