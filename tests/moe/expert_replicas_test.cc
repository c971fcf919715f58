#include "moe/expert_replicas.h"

#include <algorithm>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quant/packed_matrix.h"

namespace mlad {
namespace {

using testing::ElementsAre;

constexpr int64_t kExpertCount = 6;
constexpr int kNodes = 2;
constexpr int64_t kSide = 32;

/// A layer of whole experts of one matrix size, expert e filled with bytes e,
/// and room for some replicas on every node.
class TestLayer {
 public:
  explicit TestLayer(int64_t slots)
      : bytes_(PackedBytes(PackedFormat::kF32, kSide, kSide)) {
    weights.copies = ExpertCopies::AtHome(kExpertCount, kNodes);
    for (int64_t e = 0; e < kExpertCount; ++e) {
      weights.experts.push_back({AtHome(e), AtHome(e), AtHome(e)});
    }
    for (int n = 0; n < kNodes; ++n) {
      auto& rooms = weights.replicas.emplace_back();
      for (int64_t s = 0; s < slots; ++s) {
        rooms.push_back({Room(-1), Room(-1), Room(-1)});
      }
    }
  }

  FeedForwardWeights weights;

  bool Holds(int64_t expert, int node) const {
    const SwiGlu& swiglu = weights.experts[expert];
    bool holds = weights.copies.Has(expert, node);
    for (const ShardedMatrix* m : {&swiglu.gate, &swiglu.up, &swiglu.down}) {
      const PackedMatrix& matrix = m->shards[node].matrix;
      EXPECT_EQ(matrix.rows, holds ? kSide : 0);
      if (!holds) continue;
      const std::vector<std::byte> expected(bytes_,
                                            static_cast<std::byte>(expert));
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), matrix.data));
    }
    return holds;
  }

 private:
  std::byte* Room(int64_t fill) {
    memory_.emplace_back(bytes_, static_cast<std::byte>(fill));
    return memory_.back().data();
  }
  ShardedMatrix AtHome(int64_t expert) {
    ShardedMatrix matrix = {kSide, kSide, {}};
    for (int n = 0; n < kNodes; ++n) {
      const bool home = weights.copies.Has(expert, n);
      matrix.shards.push_back({0,
                               {PackedFormat::kF32, home ? kSide : 0, kSide,
                                home ? Room(expert) : nullptr}});
    }
    return matrix;
  }

  int64_t bytes_;
  std::vector<std::vector<std::byte>> memory_;
};

/// Some steps in which every token goes to `expert`.
void RunSteps(ExpertReplicas& replicas, ExpertCounters& counters,
              int64_t expert, int64_t steps) {
  ExpertDispatch dispatch(kExpertCount, 1, 1);
  const auto id = static_cast<int32_t>(expert);
  const float weight = 1;
  dispatch.Build(&id, &weight, 1);
  for (int64_t i = 0; i < steps; ++i) {
    replicas.BeforeStep();
    counters.Add(0, dispatch);
    for (int node = 0; node < kNodes; ++node) {
      Traffic traffic;
      for (int worker = 0; worker < 3; ++worker) {
        replicas.CopyPart(
            {.node = node, .nodes = kNodes, .worker = worker, .workers = 3},
            &traffic);
      }
    }
    replicas.AfterStep();
  }
}

TEST(ExpertReplicas, HotExpertsOfOtherNodesAreCopied) {
  TestLayer layer(1);
  ExpertCounters counters(1, kExpertCount);
  ExpertReplicas replicas({{0, &layer.weights}}, counters);
  RunSteps(replicas, counters, 3, ExpertReplicas::kReviewSteps + 2);
  EXPECT_EQ(counters.tokens(0, 3), ExpertReplicas::kReviewSteps + 2);
  EXPECT_THAT(replicas.On(0, 0), ElementsAre(3));  // at home on node 1
  EXPECT_THAT(replicas.On(0, 1), ElementsAre());
  EXPECT_TRUE(layer.Holds(3, 0));
  EXPECT_TRUE(layer.Holds(3, 1));
  EXPECT_FALSE(layer.Holds(1, 0));
}

TEST(ExpertReplicas, AnExpertThatCoolsMakesRoom) {
  TestLayer layer(1);
  ExpertCounters counters(1, kExpertCount);
  ExpertReplicas replicas({{0, &layer.weights}}, counters);
  RunSteps(replicas, counters, 3, ExpertReplicas::kReviewSteps + 2);
  RunSteps(replicas, counters, 5, 4 * ExpertReplicas::kReviewSteps);
  EXPECT_THAT(replicas.On(0, 0), ElementsAre(5));
  EXPECT_TRUE(layer.Holds(5, 0));
  EXPECT_FALSE(layer.Holds(3, 0));
  EXPECT_TRUE(layer.Holds(3, 1));
}

TEST(ExpertReplicas, LayersWithoutRoomAreLeftAlone) {
  TestLayer layer(1);
  layer.weights.replicas.clear();
  ExpertCounters counters(1, kExpertCount);
  ExpertReplicas replicas({{0, &layer.weights}}, counters);
  RunSteps(replicas, counters, 3, 3 * ExpertReplicas::kReviewSteps);
  EXPECT_THAT(replicas.On(0, 0), ElementsAre());
  EXPECT_FALSE(layer.Holds(3, 0));
}

}  // namespace
}  // namespace mlad
