// What the model says is read is what the engine counts, and what a file has.
#include "bench/decode_work.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/bench/fixed_rates.h"
#include "tests/model/model_runner.h"

#include "bench/measured_rates.h"
#include "bench/synth_file.h"

namespace mlad {
namespace {

constexpr SynthTypes kTypes = {TensorType::kIQ4_NL, TensorType::kQ8_0,
                               TensorType::kQ8_0};

/// V2-Lite's mechanisms, small.
SynthShape SmallShape() {
  SynthShape shape = *FindSynthShape("lite");
  shape.layers = 3;
  shape.hidden = 256;
  shape.heads = 8;
  shape.experts = 16;
  shape.experts_used = 4;
  shape.shared_experts = 1;
  shape.expert_ffn = 128;
  shape.ffn = 512;
  shape.vocab = 512;
  return shape;
}

std::vector<StageWork> Work(const DecodeCase& c) {
  auto stages = DecodeWork(c, FixedRates().core);
  EXPECT_TRUE(stages.ok()) << stages.status();
  return *std::move(stages);
}

double Sum(const std::vector<StageWork>& stages, double NodeWork::*field,
           const std::string& only = "") {
  double sum = 0;
  for (const StageWork& stage : stages) {
    if (!only.empty() && stage.name != only) continue;
    for (const NodeWork& node : stage.nodes) {
      sum += static_cast<double>(stage.times) * node.*field;
    }
  }
  return sum;
}

/// Local and remote bytes of one step, by the engine's counters.
Traffic CountStep(const DecodeCase& c) {
  const std::string path =
      testing::TempDir() + "/decode_work_" +
      testing::UnitTest::GetInstance()->current_test_info()->name() + ".gguf";
  SynthFile file;
  file.path = path;
  file.shape = c.shape;
  file.types = c.types;
  EXPECT_TRUE(WriteSynthFile(file).ok());
  RunnerOptions options;
  options.nodes = c.nodes;
  options.threads_per_node = c.workers;
  options.kv_type = c.kv_type;
  options.experts = {c.experts, 0};
  options.cache_tokens = c.batch * (c.depth + 2048);
  ModelRunner runner(path, options);
  std::vector<ModelRunner::Sequence> sequences(c.batch);
  std::vector<ModelRunner::Sequence*> pointers;
  for (ModelRunner::Sequence& sequence : sequences) {
    sequence = runner.NewSequence();
    sequence.tokens = c.depth;
    pointers.push_back(&sequence);
  }
  runner.AppendEach(pointers, std::vector<int32_t>(c.batch, 7));
  Traffic sum;
  for (int node = 0; node < c.nodes; ++node) {
    const Traffic traffic = runner.loaded().transformer().traffic(node);
    sum.local_bytes += traffic.local_bytes;
    sum.remote_bytes += traffic.remote_bytes;
  }
  std::filesystem::remove(path);
  return sum;
}

void ExpectEngineCounts(DecodeCase c) {
  c.types = kTypes;
  KernelRates rates = FixedRates().core;
  rates.attention_head_unit = AttentionHeadUnit(*SelectedKernels(), c.kv_type);
  const auto stages = DecodeWork(c, rates);
  ASSERT_TRUE(stages.ok()) << stages.status();
  const Traffic counted = CountStep(c);
  EXPECT_NEAR(Sum(*stages, &NodeWork::local_bytes),
              static_cast<double>(counted.local_bytes), 1);
  EXPECT_NEAR(Sum(*stages, &NodeWork::remote_bytes),
              static_cast<double>(counted.remote_bytes), 1);
}

TEST(DecodeWork, CountsBytesAsTheEngineOnOneNode) {
  DecodeCase c;
  c.shape = SmallShape();
  c.depth = 1500;
  ExpectEngineCounts(c);
}

TEST(DecodeWork, CountsBytesAsTheEngineOnTwoNodes) {
  DecodeCase c;
  c.shape = SmallShape();
  c.nodes = 2;
  c.depth = 100;
  ExpectEngineCounts(c);
}

TEST(DecodeWork, CountsBytesAsTheEngineWithSeveralWorkersAndCompressedQueries) {
  DecodeCase c;
  c.shape = SmallShape();
  c.shape.q_lora = 128;
  c.kv_type = KvType::kF16;
  c.nodes = 2;
  c.workers = 3;
  c.depth = 1500;
  ExpectEngineCounts(c);
}

TEST(DecodeWork, CountsBytesAsTheEngineWithWholeExperts) {
  DecodeCase c;
  c.shape = SmallShape();
  c.nodes = 2;
  c.depth = 33;
  c.experts = MoePlacement::kWhole;
  ExpectEngineCounts(c);
}

TEST(DecodeWork, CountsBytesAsTheEngineForSeveralSequences) {
  DecodeCase c;
  c.shape = SmallShape();
  c.shape.dense_layers = c.shape.layers;  // experts would be drawn
  c.nodes = 2;
  c.batch = 4;
  c.depth = 1500;
  ExpectEngineCounts(c);
}

TEST(DecodeWork, OneNodeReadsNothingRemote) {
  DecodeCase c;
  c.shape = *FindSynthShape("v3");
  c.types = kTypes;
  c.workers = 96;
  c.batch = 3;
  EXPECT_EQ(Sum(Work(c), &NodeWork::remote_bytes), 0);
}

TEST(DecodeWork, ReadsEachChosenWeightOnceFromMemory) {
  DecodeCase c;
  c.shape = *FindSynthShape("lite");
  c.types = kTypes;
  c.nodes = 2;
  c.workers = 4;
  const auto layer = *ShapeOfLayer(c.shape, c.types, c.shape.dense_layers);
  const auto bytes = [](const MatrixShape& m) {
    return static_cast<double>(m.panels()) * m.panel_bytes();
  };
  const double expert = bytes(layer.expert.gate) + bytes(layer.expert.up) +
                        bytes(layer.expert.down);
  const double idle =
      static_cast<double>((c.shape.layers - c.shape.dense_layers) *
                          (c.shape.experts - c.shape.experts_used));
  const double row =
      static_cast<double>(TensorRowBytes(c.types.embedding, c.shape.hidden));
  const double norms =
      4 * static_cast<double>(c.shape.layers *
                                  (2 * c.shape.hidden + c.shape.kv_lora) +
                              c.shape.hidden);
  const double read = *PackedModelBytes(c.shape, c.types) - idle * expert -
                      static_cast<double>(c.shape.vocab - 1) * row - norms;
  const auto stages = Work(c);
  EXPECT_NEAR(Sum(stages, &NodeWork::memory_bytes) -
                  Sum(stages, &NodeWork::memory_bytes, "absorbed_attention"),
              read, 1e-9 * read);
}

TEST(DecodeWork, ReadsEveryCachedPositionOnceFromMemory) {
  for (const int nodes : {1, 2, 8}) {
    DecodeCase c;
    c.shape = *FindSynthShape("v3");
    c.types = kTypes;
    c.nodes = nodes;
    c.workers = 24;
    c.batch = 3;
    c.depth = 5000;
    const double rows = static_cast<double>(3 * 5001 * c.shape.layers);
    EXPECT_DOUBLE_EQ(
        Sum(Work(c), &NodeWork::memory_bytes, "absorbed_attention"),
        rows * 584);
  }
}

TEST(DecodeWork, HeadsSplitOverNodesReadEveryPositionOnEveryNode) {
  DecodeCase c;
  c.shape = *FindSynthShape("v3");
  c.types = kTypes;
  c.nodes = 2;
  c.workers = 24;
  c.depth = 5000;
  c.attention = AttentionSplit::kHeads;
  const double rows = static_cast<double>(5001 * c.shape.layers) * 584;
  const auto stages = Work(c);
  EXPECT_DOUBLE_EQ(Sum(stages, &NodeWork::memory_bytes, "absorbed_attention"),
                   rows);
  EXPECT_DOUBLE_EQ(
      Sum(stages, &NodeWork::far_memory_bytes, "absorbed_attention"), rows);
}

TEST(DecodeWork, WholeExpertsAreAsUnevenAsTheHypergeometricDistribution) {
  DecodeCase c;
  c.shape = *FindSynthShape("lite");
  c.types = kTypes;
  c.nodes = 2;
  c.experts = MoePlacement::kWhole;
  // 6 of 64, 32 at home on each node: the mean of the larger part.
  const auto choose = [](int n, int k) {
    double ways = 1;
    for (int i = 0; i < k; ++i) ways = ways * (n - i) / (i + 1);
    return ways;
  };
  double larger = 0;
  for (int k = 0; k <= 6; ++k) {
    larger +=
        std::max(k, 6 - k) * choose(32, k) * choose(32, 6 - k) / choose(64, 6);
  }
  const auto layer = *ShapeOfLayer(c.shape, c.types, c.shape.dense_layers);
  const double expert = static_cast<double>(layer.expert.down.panels()) *
                        layer.expert.down.panel_bytes();
  for (const StageWork& stage : Work(c)) {
    if (stage.name != "whole_down") continue;
    EXPECT_NEAR(stage.nodes[1].memory_bytes / expert, larger, 0.1);
    EXPECT_NEAR(stage.nodes[0].memory_bytes + stage.nodes[1].memory_bytes,
                6 * expert, 1);
  }
}

TEST(DecodeWork, AFormatWithoutRateIsAnError) {
  DecodeCase c;
  c.shape = *FindSynthShape("lite");
  c.types.matrices = TensorType::kQ4_0;
  EXPECT_EQ(DecodeWork(c, FixedRates().core).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(MatMulRate, IsLinearBetweenItsPointsAndProportionalBeyond) {
  MatMulRate rate;
  rate.points = {{1, 2.0}, {5, 4.0}};
  EXPECT_DOUBLE_EQ(rate.At(1), 2);
  EXPECT_DOUBLE_EQ(rate.At(3), 3);
  EXPECT_DOUBLE_EQ(rate.At(5), 4);
  EXPECT_DOUBLE_EQ(rate.At(10), 8);
}

}  // namespace
}  // namespace mlad
