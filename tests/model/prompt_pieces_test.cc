// Invariant I2: the bits of a prompt's logits do not depend on how its chunks
// are cut into rows and layers, nor on what is computed between the pieces.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/model/demo_model.h"
#include "tests/model/model_runner.h"
#include "tests/model/tiny_model.h"

namespace mlad {
namespace {

constexpr int64_t kChunk = 32;
constexpr int64_t kTail = 9;
constexpr int64_t kPrompt = 3 * kChunk + kTail;

using Logits = std::vector<ModelRunner::Logits>;

std::vector<int32_t> MakePrompt(int64_t vocab) {
  std::vector<int32_t> prompt;
  uint32_t state = 4711;
  for (int64_t i = 0; i < kPrompt; ++i) {
    state = state * 1664525u + 1013904223u;
    prompt.push_back(
        static_cast<int32_t>((state >> 8) % static_cast<uint32_t>(vocab)));
  }
  return prompt;
}

/// How a prompt is read.
struct Pieces {
  std::vector<int64_t> rows;    // of one piece after the other, repeated
  std::vector<int64_t> layers;  // the same; empty: all at once
  bool neighbour = false;       // takes a step after each piece
};

/// Reads a prompt in pieces and returns the logits of all its rows.
class PieceReader {
 public:
  PieceReader(ModelRunner& runner, const Pieces& pieces)
      : runner_(runner),
        model_(runner.loaded().transformer()),
        pieces_(pieces),
        sequence_(runner.NewSequence()),
        neighbour_(runner.NewSequence()) {}
  ~PieceReader() {
    runner_.Release(sequence_);
    runner_.Release(neighbour_);
  }

  Logits Read(absl::Span<const int32_t> prompt) {
    EXPECT_TRUE(runner_.loaded().pages().Grow(sequence_.pages, kPrompt).ok());
    const int64_t expanded_end = kPrompt - kTail;
    for (int64_t at = 0, piece = 0; at < kPrompt; ++piece) {
      const bool expanded = at < expanded_end;
      const int64_t rows = std::min(pieces_.rows[piece % pieces_.rows.size()],
                                    (expanded ? expanded_end : kPrompt) - at);
      const StepSpan span = {&sequence_.pages, prompt.subspan(at, rows), at,
                             expanded, LogitsWanted::kAll};
      if (expanded && !pieces_.layers.empty()) {
        ReadLayers(span);
      } else {
        model_.Step(absl::MakeConstSpan(&span, 1), Consumer());
      }
      Disturb();
      at += rows;
    }
    return std::move(logits_);
  }

 private:
  std::function<void(int, int64_t, absl::Span<const float>)> Consumer() {
    return [this](int, int64_t, absl::Span<const float> logits) {
      logits_.emplace_back(logits.begin(), logits.end());
    };
  }

  void ReadLayers(const StepSpan& span) {
    for (int64_t layer = 0, piece = 0; layer < model_.layers(); ++piece) {
      const int64_t end =
          std::min(layer + pieces_.layers[piece % pieces_.layers.size()],
                   model_.layers());
      model_.StepLayers(span, {layer, end}, Consumer());
      Disturb();
      layer = end;
    }
  }

  void Disturb() {
    if (!pieces_.neighbour) return;
    const int32_t id = 7;
    runner_.Append(neighbour_, absl::MakeConstSpan(&id, 1));
  }

  ModelRunner& runner_;
  Transformer& model_;
  const Pieces pieces_;
  ModelRunner::Sequence sequence_;
  ModelRunner::Sequence neighbour_;
  Logits logits_;
};

class PromptPieces : public testing::TestWithParam<KvType> {
  void SetUp() override {
    const char* isa = std::getenv("MLAD_ISA");
    if (!SelectKernels(isa == nullptr ? "" : isa).ok()) {
      GTEST_SKIP() << "this CPU lacks the ISA";
    }
  }
};

TEST_P(PromptPieces, HaveTheBitsOfWholeChunks) {
  TinyModelOptions v3;
  v3.type = TensorType::kQ8_0;
  v3.groups = 4;
  v3.groups_used = 2;
  for (const std::string& path :
       {std::string(kDemoModelPath), TinyModelFile("prompt-pieces.gguf", v3)}) {
    for (const int nodes : {1, 2}) {
      SCOPED_TRACE(testing::Message() << path << ", " << nodes << " nodes");
      RunnerOptions options;
      options.kv_type = GetParam();
      options.nodes = nodes;
      options.threads_per_node = 3 - nodes;
      options.chunk_tokens = kChunk;
      ModelRunner runner(path, options);
      const std::vector<int32_t> prompt =
          MakePrompt(runner.loaded().shape().vocab_size);
      const Logits whole = PieceReader(runner, {{kChunk}, {}}).Read(prompt);
      ASSERT_EQ(whole.size(), static_cast<size_t>(kPrompt));
      EXPECT_EQ(PieceReader(runner, {{1, 17, 5, 20, 32}, {}}).Read(prompt),
                whole)
          << "rows";
      EXPECT_EQ(PieceReader(runner, {{kChunk}, {1}, true}).Read(prompt), whole)
          << "a layer at a time";
      EXPECT_EQ(
          PieceReader(runner, {{3, 20, 16, 32}, {1, 2}, true}).Read(prompt),
          whole)
          << "rows and layers";
    }
  }
}

TEST_P(PromptPieces, AnUnfinishedOneIsDropped) {
  RunnerOptions options;
  options.kv_type = GetParam();
  options.threads_per_node = 1;
  options.chunk_tokens = kChunk;
  ModelRunner runner(kDemoModelPath, options);
  Transformer& model = runner.loaded().transformer();
  const std::vector<int32_t> prompt =
      MakePrompt(runner.loaded().shape().vocab_size);
  const Logits whole = PieceReader(runner, {{kChunk}, {}}).Read(prompt);

  ModelRunner::Sequence left = runner.NewSequence();
  ASSERT_TRUE(runner.loaded().pages().Grow(left.pages, kChunk).ok());
  const StepSpan span = {&left.pages,
                         absl::MakeConstSpan(prompt).subspan(kTail, kChunk), 0,
                         true, LogitsWanted::kNone};
  model.StepLayers(span, {0, 1}, [](int, int64_t, absl::Span<const float>) {
    ADD_FAILURE() << "logits before the last layer";
  });
  runner.Release(left);
  EXPECT_EQ(PieceReader(runner, {{kChunk}, {1}}).Read(prompt), whole);
}

INSTANTIATE_TEST_SUITE_P(KvTypes, PromptPieces,
                         testing::Values(KvType::kF16, KvType::kQ8KV),
                         [](const auto& param) {
                           return std::string(KvTypeName(param.param));
                         });

}  // namespace
}  // namespace mlad
