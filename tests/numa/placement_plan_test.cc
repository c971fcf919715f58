#include "numa/placement_plan.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mlad {
namespace {

using testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;

std::unique_ptr<Topology> Planned(const std::string& source, int nodes = 0) {
  return *Topology::Create({.source = source, .nodes = nodes});
}

/// A model of one layer with every kind of weight.
ModelFootprint SmallModel() {
  ModelFootprint model;
  model.weights = {{"rows", Placement::kRows, 10, 1000, 1},
                   {"heads", Placement::kHeads, 16, 500, 1},
                   {"norm", Placement::kReplicated, 1, 64, 1},
                   {"experts", Placement::kRows, 6, 100, 8}};
  model.heads = 16;
  model.layers = 2;
  model.kv_row_bytes = 100;
  model.page_positions = 32;
  model.shared_compute_bytes = 7000;
  model.per_node_compute_bytes = 300;
  return model;
}

/// DeepSeek-V3 at about 4.5 bits: 61 layers, 3 of them dense, packed panels of
/// 16 rows. Sizes in bytes of one panel.
ModelFootprint DeepSeekV3() {
  const auto panel = [](int64_t cols) { return 16 * cols * 9 / 16; };
  ModelFootprint model;
  model.heads = 128;
  model.layers = 61;
  model.kv_row_bytes = 584;
  model.page_positions = 32;
  model.page_lanes = 32;
  model.shared_compute_bytes = 200 << 20;
  model.per_node_compute_bytes = 300 << 20;
  const auto rows = [&](const char* name, int64_t out, int64_t in,
                        int64_t copies = 1) {
    model.weights.push_back(
        {name, Placement::kRows, out / 16, panel(in), copies});
  };
  const auto heads = [&](const char* name, int64_t out, int64_t in) {
    model.weights.push_back(
        {name, Placement::kHeads, 128, out / 16 * panel(in), 1});
  };
  rows("token_embd", 129280, 7168);
  rows("output", 129280, 7168);
  for (int layer = 0; layer < 61; ++layer) {
    model.weights.push_back(
        {"attn_norm", Placement::kReplicated, 1, 7168 * 4, 1});
    rows("attn_q_a", 1536, 7168);
    heads("attn_q_b", 192, 1536);
    rows("attn_kv_a", 576, 7168);
    heads("attn_k_b", 512, 128);
    heads("attn_v_b", 128, 512);
    rows("attn_output", 7168, 16384);
    const bool dense = layer < 3;
    const int64_t width = dense ? 18432 : 2048;
    for (const char* name : {"ffn_gate", "ffn_up"}) {
      rows(name, width, 7168);
      if (!dense) rows(name, 2048, 7168, 256);
    }
    rows("ffn_down", 7168, width);
    if (!dense) rows("ffn_down_exps", 7168, 2048, 256);
  }
  return model;
}

int64_t WholeBytes(const ModelFootprint& model) {
  int64_t bytes = 0;
  for (const PlannedWeight& weight : model.weights) {
    bytes += weight.granules * weight.granule_bytes * weight.copies;
  }
  return bytes;
}

/// Largest over mean, less one.
double Imbalance(const PlacementPlan& plan) {
  int64_t largest = 0;
  int64_t sum = 0;
  for (const NodePlan& node : plan.nodes) {
    largest = std::max(largest, node.used_bytes());
    sum += node.used_bytes();
  }
  return static_cast<double>(largest) * static_cast<double>(plan.nodes.size()) /
             static_cast<double>(sum) -
         1;
}

TEST(PlacementPlan, OneNodeHoldsEverything) {
  const auto plan = MakePlacementPlan(*Planned("pack:1 [numa] core:4 pu:1"),
                                      SmallModel(), 100);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->weights_bytes, 10 * 1000 + 16 * 500 + 64 + 6 * 100 * 8);
  EXPECT_EQ(plan->compute_bytes, 7300);
  EXPECT_EQ(plan->kv_page_bytes, 32 * 2 * 100);
  EXPECT_EQ(plan->nodes[0].kv_pages, 4);  // 100 tokens in pages of 32
  EXPECT_EQ(plan->kv_bytes_capacity, 4 * 6400);
}

TEST(PlacementPlan, TwoNodesByHand) {
  const auto plan = MakePlacementPlan(*Planned("pack:2 [numa] core:4 pu:1"),
                                      SmallModel(), 100);
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (int n = 0; n < 2; ++n) {
    const NodePlan& node = plan->nodes[n];
    EXPECT_EQ(node.heads.begin, 8 * n);
    EXPECT_EQ(node.heads.end, 8 * n + 8);
    EXPECT_EQ(node.weights_bytes, 5 * 1000 + 8 * 500 + 64 + 3 * 100 * 8);
    EXPECT_EQ(node.kv_pages, 2);
    EXPECT_EQ(node.experts, 0);
  }
  EXPECT_EQ(plan->nodes[0].compute_bytes, 7300);
  EXPECT_EQ(plan->nodes[1].compute_bytes, 300);
}

TEST(PlacementPlan, EveryGranuleIsOnceOnSomeNode) {
  for (MoePlacement placement : {MoePlacement::kSliced, MoePlacement::kWhole}) {
    for (int nodes : {1, 2, 3, 4, 5, 7, 8}) {
      for (const PlannedWeight& weight : SmallModel().weights) {
        int64_t bytes = 0;
        for (int n = 0; n < nodes; ++n) {
          bytes += WeightBytesOnNode(weight, {placement, 0}, nodes, n);
        }
        const int64_t once =
            weight.granules * weight.granule_bytes * weight.copies;
        EXPECT_EQ(bytes, weight.placement == Placement::kReplicated
                             ? once * nodes
                             : once)
            << weight.name << " on " << nodes << " nodes";
      }
    }
  }
}

TEST(PlacementPlan, WholeExpertsAreWhereExpertHomeSays) {
  ModelFootprint model = SmallModel();
  model.experts.placement = MoePlacement::kWhole;
  const auto plan =
      MakePlacementPlan(*Planned("pack:3 [numa] core:4 pu:1"), model, 100);
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<int64_t> homes(3);
  for (int64_t e = 0; e < 8; ++e) ++homes[ExpertHome(e, 3)];
  for (int n = 0; n < 3; ++n) {
    EXPECT_EQ(plan->nodes[n].experts, homes[n]);
    EXPECT_EQ(
        WeightBytesOnNode(model.weights[3], {MoePlacement::kWhole, 0}, 3, n),
        homes[n] * 600);
  }
}

TEST(PlacementPlan, AutoSlicesUntilANodeWouldHaveNoSlice) {
  ModelFootprint model = SmallModel();
  model.experts.placement = MoePlacement::kAuto;
  const auto on = [&](int nodes) {
    return MakePlacementPlan(*Planned("pack:8 [numa] core:4 pu:1", nodes),
                             model, 100)
        ->experts.placement;
  };
  EXPECT_EQ(on(2), MoePlacement::kSliced);
  EXPECT_EQ(on(6), MoePlacement::kSliced);
  EXPECT_EQ(on(8), MoePlacement::kWhole);  // 6 panels, 8 experts
}

TEST(PlacementPlan, EnoughPagesWhicheverNodeASequenceStartsOn) {
  ModelFootprint model = SmallModel();
  model.page_lanes = 32;
  for (int nodes : {1, 2, 3, 4, 6, 8}) {
    for (int64_t pages : {1, 2, 5, 31, 32, 33, 100, 1000}) {
      const auto plan = MakePlacementPlan(
          *Planned("pack:8 [numa] core:4 pu:1", nodes), model, pages * 32);
      for (int first = 0; first < nodes; ++first) {
        std::vector<int64_t> held(nodes);
        for (int64_t p = 0; p < pages; ++p) ++held[(p % 32 + first) % nodes];
        for (int n = 0; n < nodes; ++n) {
          ASSERT_LE(held[n], plan->nodes[n].kv_pages)
              << pages << " pages on " << nodes << " nodes from " << first;
        }
      }
    }
  }
}

TEST(PlacementPlan, DeepSeekV3OnTwoSocketsIsBalancedAndQuick) {
  const auto topology = Planned("pack:2 [numa(memory=384GiB)] core:96 pu:1");
  const ModelFootprint model = DeepSeekV3();
  // 671 billion parameters at 4.5 bits.
  EXPECT_NEAR(static_cast<double>(WholeBytes(model)), 671e9 * 4.5 / 8, 1e10);
  const auto begin = std::chrono::steady_clock::now();
  const auto plan = MakePlacementPlan(*topology, model, 65536);
  ASSERT_TRUE(plan.ok()) << plan.status();
  PlanAsText(*plan);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_LT(Imbalance(*plan), 0.02);
  EXPECT_EQ(plan->kv_bytes_capacity, int64_t{65536} * 61 * 584);
}

TEST(PlacementPlan, DeepSeekV3IsBalancedOnFourAndEightNodes) {
  for (const char* source : {"pack:2 group:2 [numa] core:48 pu:2",
                             "pack:2 group:4 [numa] core:24 pu:2"}) {
    for (MoePlacement placement :
         {MoePlacement::kSliced, MoePlacement::kWhole}) {
      ModelFootprint model = DeepSeekV3();
      model.experts.placement = placement;
      const auto plan = MakePlacementPlan(*Planned(source), model, 65536);
      ASSERT_TRUE(plan.ok()) << plan.status();
      EXPECT_LT(Imbalance(*plan), 0.02) << source;
    }
  }
}

TEST(PlacementPlan, WhatDoesNotFitIsRefusedWithTheMissingBytes) {
  const auto topology = Planned("pack:2 [numa(memory=160GiB)] core:96 pu:1");
  const auto plan = MakePlacementPlan(*topology, DeepSeekV3(), 4096);
  ASSERT_EQ(plan.status().code(), absl::StatusCode::kResourceExhausted);
  // The same plan where sizes are not stated; of 160 GiB the system keeps 4.
  const auto fits = MakePlacementPlan(*Planned("pack:2 [numa] core:96 pu:1"),
                                      DeepSeekV3(), 4096);
  for (int n = 0; n < 2; ++n) {
    const int64_t missing = fits->nodes[n].used_bytes() - 156 * kGiB;
    EXPECT_THAT(std::string(plan.status().message()),
                HasSubstr("node " + std::to_string(n) + " is " +
                          std::to_string(missing) + " bytes"));
  }
}

TEST(PlacementPlan, RefusalNamesTheContextThatFits) {
  const auto topology = Planned("pack:2 [numa(memory=256GiB)] core:96 pu:1");
  const ModelFootprint model = DeepSeekV3();
  const auto plan = MakePlacementPlan(*topology, model, 1 << 28);
  const std::string message(plan.status().message());
  const std::string before = "use a context of at most ";
  ASSERT_THAT(message, HasSubstr(before));
  const int64_t context =
      std::atoll(message.c_str() + message.find(before) + before.size());
  EXPECT_TRUE(MakePlacementPlan(*topology, model, context).ok());
  // Another round of lanes does not fit.
  EXPECT_FALSE(MakePlacementPlan(*topology, model, context + 32 * 32).ok());
}

TEST(PlacementPlan, UnevenNodesSayWhichIsShortAndWhichHasRoom) {
  const auto topology = Planned("pack:2 [numa(memory=1GiB)] core:2 pu:1");
  ModelFootprint model = SmallModel();
  model.weights[0].granules = 3;
  model.weights[0].granule_bytes = kGiB * 6 / 10;
  const auto plan = MakePlacementPlan(*topology, model, 32);
  ASSERT_EQ(plan.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(plan.status().message()),
              testing::AllOf(HasSubstr("node 0 is "), HasSubstr("short"),
                             HasSubstr("node 1 has "), HasSubstr("to spare"),
                             HasSubstr("more nodes")));
}

TEST(PlacementPlan, ContextOutOfRange) {
  const auto topology = Planned("pack:1 [numa] core:2 pu:1");
  for (int64_t context : {int64_t{0}, int64_t{-1}, int64_t{1} << 60}) {
    EXPECT_EQ(
        MakePlacementPlan(*topology, SmallModel(), context).status().code(),
        absl::StatusCode::kInvalidArgument);
  }
}

TEST(PlanAsText, ShowsATableAndABarPerNode) {
  const auto plan =
      MakePlacementPlan(*Planned("pack:2 [numa(memory=384GiB)] core:96 pu:1"),
                        DeepSeekV3(), 65536);
  const std::string text = PlanAsText(*plan);
  EXPECT_THAT(text, HasSubstr("0-95"));
  EXPECT_THAT(text, HasSubstr("64-127"));
  EXPECT_THAT(text, HasSubstr("node 1  |####"));
  EXPECT_THAT(text, HasSubstr("of 384.0 GiB"));
  EXPECT_THAT(text, HasSubstr("experts sliced"));
}

TEST(PlanAsText, SmallAndUnstatedMemory) {
  const auto plan = MakePlacementPlan(*Planned("pack:1 [numa] core:2 pu:1", 2),
                                      SmallModel(), 32);
  const std::string text = PlanAsText(*plan);
  EXPECT_THAT(text, HasSubstr("0 sim"));
  EXPECT_THAT(text, HasSubstr("note: 2 nodes were asked for"));
  EXPECT_THAT(text, HasSubstr("not stated"));
}

TEST(PlanAsJson, HasTheAgreedFields) {
  const auto plan = MakePlacementPlan(
      *Planned("pack:2 [numa(memory=384GiB)] core:4 pu:1"), SmallModel(), 100);
  const auto json = nlohmann::json::parse(PlanAsJson(*plan));
  ASSERT_EQ(json.at("nodes").size(), 2u);
  int64_t weights = 0;
  int64_t compute = 0;
  int64_t kv = 0;
  for (int n = 0; n < 2; ++n) {
    const auto& node = json.at("nodes")[n];
    EXPECT_EQ(node.at("node"), n);
    EXPECT_EQ(node.at("cpus").size(), 4u);
    EXPECT_EQ(node.at("simulated"), false);
    EXPECT_EQ(node.at("package"), n);
    EXPECT_EQ(node.at("cores"), 4);
    EXPECT_EQ(node.at("kv_bytes_used"), 0);
    EXPECT_EQ(node.at("kv_pages_used"), 0);
    weights += node.at("weights_bytes").get<int64_t>();
    compute += node.at("compute_bytes").get<int64_t>();
    kv += node.at("kv_bytes_capacity").get<int64_t>();
  }
  EXPECT_EQ(json.at("weights_bytes"), weights);
  EXPECT_EQ(json.at("compute_bytes"), compute);
  EXPECT_EQ(json.at("kv_bytes_capacity"), kv);
  EXPECT_EQ(kv, plan->kv_bytes_capacity);
}

}  // namespace
}  // namespace mlad
