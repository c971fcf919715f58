#include "bench/numa_model.h"

#include <limits>

#include <gtest/gtest.h>

#include "tests/bench/fixed_rates.h"

#include "bench/line_chart.h"
#include "bench/numa_report.h"

namespace mlad {
namespace {

constexpr SyncScope kAll = SyncScope::kAllNodes;

ModelledStep Step(const std::string& preset) {
  ModelledStep step;
  step.shape = *FindSynthShape(preset);
  step.types = {TensorType::kIQ4_NL, TensorType::kIQ4_NL, TensorType::kIQ4_NL};
  step.depth = 4096;
  return step;
}

NumaMachine Genoa(int nodes_per_socket = 1) {
  return MakeServer(ServerFacts()[0], nodes_per_socket, FixedRates());
}

PredictedStep Predict(const NumaMachine& machine, const ModelledStep& step) {
  const auto predicted = PredictStep(machine, FixedRates(), step);
  EXPECT_TRUE(predicted.ok()) << predicted.status();
  return *predicted;
}

TEST(NumaModel, PartsAddUpToTheStep) {
  const PredictedStep step = Predict(Genoa(), Step("v3"));
  EXPECT_DOUBLE_EQ(step.kernels_s + step.gathers_s + step.barriers_s,
                   step.step_s);
  EXPECT_DOUBLE_EQ(step.tokens_per_s, 1 / step.step_s);
}

// Stages of an expert layer with compressed queries are 13; attention has a
// barrier more inside for each of its parts but the last (model/stages.h).
TEST(NumaModel, CountsTheEnginesBarriers) {
  const ModelledStep step = Step("v3");
  const int64_t dense = 3 * (11 + 3), experts = 58 * (13 + 3);
  EXPECT_EQ(Predict(Genoa(), step).barriers, 1 + dense + experts + 3);
  // One node merges no lanes of its own.
  EXPECT_EQ(Predict(Genoa().WithSockets(1), step).barriers,
            1 + dense + experts + 3 - 61);
}

TEST(NumaModel, WithoutWaitingTwoSocketsAreTwice) {
  MeasuredRates rates = FixedRates();
  rates.node_barrier_s = rates.handoff_s = 0;
  rates.core.read_bytes_per_s = std::numeric_limits<double>::infinity();
  for (double* work :
       {&rates.core.norm_s_per_float, &rates.core.quantize_s_per_float,
        &rates.core.walk_s_per_position, &rates.core.merge_s_per_float,
        &rates.core.absorb_s_per_head_position, &rates.core.route_s_per_expert,
        &rates.core.store_s_per_latent, &rates.core.partial_s_per_float}) {
    *work = 0;
  }
  for (auto& [format, rate] : rates.core.matmul) {
    rate.points = {{1, 0.0}};
  }
  NumaMachine machine = Genoa();
  machine.handoff_s = machine.far_handoff_s = machine.l3_handoff_s = 0;
  machine.far_latency_s = machine.local_latency_s = 1e-15;
  const auto both = PredictStep(machine, rates, Step("v3"));
  const auto one = PredictStep(machine.WithSockets(1), rates, Step("v3"));
  ASSERT_TRUE(both.ok() && one.ok());
  EXPECT_NEAR(both->tokens_per_s / one->tokens_per_s, 2, 1e-3);
}

TEST(NumaModel, EveryModelGainsFromTheSecondSocketAtMostTwice) {
  const auto report = MakeNumaReport(FixedRates(), KvType::kQ8KV);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->servers.size(), 6 * 5);
  for (const ServerRow& row : report->servers) {
    for (size_t i = 0; i < kLayouts; ++i) {
      EXPECT_GT(row.both[i].tokens_per_s, 0);
      EXPECT_LT(row.Gain(i), 2.05) << row.model << " " << row.machine;
    }
    // Interleaved pages are read as mirrored ones are, and cross links too.
    EXPECT_LE(row.both[0].tokens_per_s, row.both[1].tokens_per_s);
  }
}

TEST(NumaModel, IsSlowerWithLongerContextsAndSlowerParts) {
  const ModelledStep step = Step("v3");
  const NumaMachine machine = Genoa();
  const double speed = Predict(machine, step).tokens_per_s;
  ModelledStep longer = step;
  for (longer.depth = 8192; longer.depth <= 131072; longer.depth *= 2) {
    ModelledStep before = longer;
    before.depth /= 2;
    EXPECT_LT(Predict(machine, longer).tokens_per_s,
              Predict(machine, before).tokens_per_s);
  }
  NumaMachine slower = machine;
  slower.memory_bytes_per_s /= 2;
  EXPECT_LT(Predict(slower, step).tokens_per_s, speed);
  slower = machine;
  slower.handoff_s *= 2;
  EXPECT_LT(Predict(slower, step).tokens_per_s, speed);
  slower = machine;
  slower.far_latency_s *= 2;
  EXPECT_LT(Predict(slower, step).tokens_per_s, speed);
  slower = machine;
  slower.core_speed /= 2;
  EXPECT_LT(Predict(slower, step).tokens_per_s, speed);
}

TEST(NumaModel, LinksMatterToInterleavedPagesOnly) {
  ModelledStep step = Step("v3");
  NumaMachine thin = Genoa();
  thin.link_bytes_per_s /= 10;
  EXPECT_EQ(Predict(thin, step).tokens_per_s,
            Predict(Genoa(), step).tokens_per_s);
  step.layout = MemoryLayout::kInterleaved;
  EXPECT_LT(Predict(thin, step).tokens_per_s,
            Predict(Genoa(), step).tokens_per_s);
}

// 96 workers under 12 caches: 8 arrive at each of these, then 12 at the node.
TEST(NumaModel, WorkersMeetInGroups) {
  const MeasuredRates rates = FixedRates();
  NumaMachine machine = Genoa();
  const auto seconds = [&] {
    return BarrierSeconds(machine, SyncScope::kOwnNode, rates);
  };
  const double of_caches = seconds();
  machine.handoff_s += 1e-6;
  EXPECT_NEAR(seconds() - of_caches, 12e-6, 1e-12);
  machine.handoff_s -= 1e-6;
  machine.l3_handoff_s += 1e-6;
  EXPECT_NEAR(seconds() - of_caches, 8e-6, 1e-12);
  // One large cache has groups, too.
  machine.l3_handoff_s -= 1e-6;
  machine.cores_per_l3 = machine.cores_per_socket;
  EXPECT_NEAR(seconds(), of_caches, 1e-12);
}

TEST(NumaModel, ABarrierOfTheMeasuredMachineTakesWhatWasMeasured) {
  const MeasuredRates rates = FixedRates();
  EXPECT_NEAR(BarrierSeconds(ThisMachine(rates), kAll, rates),
              rates.node_barrier_s, 1e-15);
}

TEST(NumaModel, ANodesOwnBarrierDoesNotKnowOfTheOthers) {
  const MeasuredRates rates = FixedRates();
  const auto seconds = [&](const NumaMachine& machine, SyncScope scope) {
    return BarrierSeconds(machine, scope, rates);
  };
  EXPECT_LT(seconds(Genoa(), SyncScope::kOwnNode), seconds(Genoa(), kAll));
  EXPECT_EQ(seconds(Genoa(), SyncScope::kOwnNode),
            seconds(Genoa().WithSockets(1), SyncScope::kOwnNode));
}

TEST(NumaModel, SmallerNodesMeetFasterWithinAndSlowerAcross) {
  const MeasuredRates rates = FixedRates();
  const NumaMachine nps4 = Genoa(4);
  EXPECT_EQ(nps4.nodes(), 8);
  EXPECT_EQ(nps4.cores_per_node(), 24);
  EXPECT_LT(BarrierSeconds(nps4, SyncScope::kOwnNode, rates),
            BarrierSeconds(Genoa(), SyncScope::kOwnNode, rates));
  EXPECT_GT(BarrierSeconds(nps4, kAll, rates),
            BarrierSeconds(Genoa(), kAll, rates));
}

TEST(NumaReport, PrintsAssumptionsErrorAndEveryServer) {
  auto report = MakeNumaReport(FixedRates(), KvType::kQ8KV);
  ASSERT_TRUE(report.ok());
  ValidationRow row;
  row.depth = 1024;
  row.measured_tokens_per_s = 100;
  row.predicted_tokens_per_s = 125;
  report->validation.push_back(row);
  const std::string text = NumaReportAsText(*report);
  EXPECT_NE(text.find("+25.0%"), std::string::npos);
  for (const std::string& sentence : ModelAssumptions()) {
    EXPECT_NE(text.find(sentence), std::string::npos);
  }
  const nlohmann::json json = NumaReportAsJson(*report);
  EXPECT_EQ(json["servers"].size(), report->servers.size());
  EXPECT_DOUBLE_EQ(json["validation"][0]["error"], 0.25);
  for (const auto& [file, chart] : NumaCharts(*report)) {
    EXPECT_FALSE(chart.lines.empty()) << file;
    for (const ChartLine& line : chart.lines) {
      EXPECT_GE(line.points.size(), 7u) << file << ": " << line.name;
    }
  }
}

TEST(LineChart, DrawsEveryLineAndEscapesNames) {
  const LineChart chart = {
      "a < b", "x", "y", {{"one & two", {{1, 1}, {1024, 3}}}, {"three", {}}}};
  const std::string svg = ChartAsSvg(chart);
  size_t lines = 0;
  for (size_t at = svg.find("<polyline"); at != std::string::npos;
       at = svg.find("<polyline", at + 1)) {
    ++lines;
  }
  EXPECT_EQ(lines, 2u);
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  EXPECT_NE(svg.find("one &amp; two"), std::string::npos);
  EXPECT_NE(svg.find(">1k<"), std::string::npos);
  EXPECT_NE(ChartAsSvg({}).find("</svg>"), std::string::npos);
}

}  // namespace
}  // namespace mlad
