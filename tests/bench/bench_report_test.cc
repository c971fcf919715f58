#include "bench/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/bench_plot.h"
#include "bench/bench_table.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

BenchRow Row(BenchKind kind, int64_t tokens, int64_t depth,
             std::vector<double> tokens_per_s) {
  BenchRow row;
  row.kind = kind;
  row.test = BenchTestName(kind, tokens, depth, 1);
  row.tokens = tokens;
  row.depth = depth;
  row.barrier_percents.assign(tokens_per_s.size(), 1);
  row.tokens_per_s = std::move(tokens_per_s);
  return row;
}

/// 10 GB/s, 1000 int8 GOP/s, 100 f32 GFLOP/s.
BenchReport Report() {
  BenchReport report;
  report.model = "a <small> & \"odd\" model";
  report.limits = {10e9, 1000e9, 100e9};
  BenchRow prompt = Row(BenchKind::kPrompt, 512, 0, {90, 110, 100});
  prompt.bytes_per_token = 1e9;  // shared by tokens: not compared
  prompt.work = {.int8_ops = 2e9, .f32_ops = 0.1e9};
  BenchRow generation = Row(BenchKind::kGeneration, 64, 4096, {8, 10, 9, 11});
  generation.bytes_per_token = 0.5e9;
  generation.work = {.int8_ops = 2e9, .f32_ops = 0.1e9};
  generation.barrier_percents = {2, 9, 3, 3};
  report.rows = {prompt, generation};
  return report;
}

TEST(BenchRow, MedianAndSpread) {
  const BenchReport report = Report();
  EXPECT_EQ(report.rows[0].Median(), 100);
  EXPECT_EQ(report.rows[1].Median(), 9.5);
  EXPECT_EQ(report.rows[0].SpreadPercent(), 20);
}

TEST(BenchReport, PromptsAreBoundByArithmetic) {
  const BenchReport report = Report();
  const BenchRow& row = report.rows[0];
  EXPECT_EQ(report.PercentOfBandwidth(row), 0);
  // 100 * 2e9 / 1000e9 = 20%, and 100 * 0.1e9 / 100e9 = 10%.
  EXPECT_DOUBLE_EQ(report.PercentOfComputePeak(row), 30);
  EXPECT_DOUBLE_EQ(report.PercentOfInt8Peak(row), 21);
  EXPECT_EQ(report.BindingLimit(row).limit, "int8");
  EXPECT_DOUBLE_EQ(report.BindingLimit(row).percent, 30);
}

TEST(BenchReport, FloatsBindWhereTheyTakeLonger) {
  BenchReport report = Report();
  report.rows[0].work = {.int8_ops = 1e9, .f32_ops = 0.2e9};
  EXPECT_EQ(report.BindingLimit(report.rows[0]).limit, "f32");
}

TEST(BenchReport, GenerationIsBoundByBandwidth) {
  const BenchReport report = Report();
  const LimitShare share = report.BindingLimit(report.rows[1]);
  EXPECT_EQ(share.limit, "bandwidth");
  EXPECT_DOUBLE_EQ(share.percent, 47.5);  // 9.5 * 0.5e9 / 10e9
}

TEST(BenchReport, GenerationInLargeBatchesIsBoundByArithmetic) {
  BenchReport report = Report();
  report.rows[1].bytes_per_token = 1e6;
  EXPECT_EQ(report.BindingLimit(report.rows[1]).limit, "int8");
}

TEST(BenchReport, JsonHasTheContractsFields) {
  const nlohmann::json json = ReportAsJson(Report());
  const nlohmann::json& rows = json.at("rows");
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[0].at("test"), "pp512");
  EXPECT_FALSE(rows[0].contains("percent_of_bandwidth"));
  EXPECT_EQ(rows[1].at("test"), "tg64@d4096");
  EXPECT_EQ(rows[1].at("tokens_per_s"), 9.5);
  EXPECT_EQ(rows[1].at("tokens_per_s_min"), 8);
  EXPECT_EQ(rows[1].at("tokens_per_s_max"), 11);
  EXPECT_EQ(rows[1].at("repetitions").size(), 4);
  EXPECT_EQ(rows[1].at("bytes_per_token"), 0.5e9);
  EXPECT_EQ(rows[1].at("percent_of_bandwidth"), 47.5);
  EXPECT_EQ(rows[1].at("barrier_percent"), 3);
  EXPECT_EQ(json.at("bandwidth_bytes_per_s"), 10e9);
}

TEST(BenchTable, RowsAreAsWideAsTheirHeader) {
  const std::string text = ReportAsText(Report());
  const size_t header = text.find("test ");
  ASSERT_NE(header, std::string::npos);
  const size_t header_end = text.find('\n', header);
  const size_t row_end = text.find('\n', header_end + 1);
  EXPECT_EQ(row_end - header_end - 1, header_end - header);
  EXPECT_THAT(text, Not(HasSubstr("|")));
}

TEST(BenchTable, MarkdownHasATable) {
  const std::string text = ReportAsMarkdown(Report());
  EXPECT_THAT(text, HasSubstr("| tg64@d4096 |"));
  EXPECT_THAT(text, HasSubstr("-:|"));
}

TEST(BenchTable, SaysWhenLatentsAreMadeUp) {
  BenchReport report = Report();
  EXPECT_THAT(ReportAsText(report), Not(HasSubstr("random latents")));
  report.fill = CacheFill::kRandom;
  EXPECT_THAT(ReportAsText(report), HasSubstr("random latents"));
  EXPECT_EQ(ReportAsJson(report).at("fill"), "random");
}

TEST(BenchPlot, NamesAreEscapedAndPanelsLeftOut) {
  BenchReport report = Report();
  const std::string both = PlotAsSvg(report);
  EXPECT_THAT(both, HasSubstr("a &lt;small&gt; &amp; &quot;odd&quot; model"));
  EXPECT_THAT(both, HasSubstr("tg64, batch 1"));
  EXPECT_THAT(both, HasSubstr("from an empty cache"));
  report.rows.erase(report.rows.begin());
  EXPECT_THAT(PlotAsSvg(report), Not(HasSubstr("tokens in the prompt")));
}

}  // namespace
}  // namespace mlad
