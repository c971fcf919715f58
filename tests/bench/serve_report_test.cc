#include "bench/serve_report.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using testing::HasSubstr;

TEST(Percentiles, AreValuesThatWereMeasured) {
  std::vector<double> values(200);
  std::iota(values.rbegin(), values.rend(), 1);
  const Percentiles result = Percentiles::Of(values);
  EXPECT_EQ(result.count, 200);
  EXPECT_EQ(result.p50, 100);
  EXPECT_EQ(result.p95, 190);
  EXPECT_EQ(result.p99, 198);
  EXPECT_EQ(result.most, 200);
  EXPECT_EQ(result.mean, 100.5);
  EXPECT_EQ(Percentiles::Of({7}).p99, 7);
  EXPECT_EQ(Percentiles::Of({}).count, 0);
}

LoadRun SomeRun() {
  LoadRun run;
  run.start = absl::UnixEpoch() + absl::Seconds(1000);
  RequestOutcome good;
  good.planned = {100, 3};
  good.cached_tokens = 60;
  good.sent_s = 1;
  good.tokens_s = {1.5, 1.6, 1.8};
  good.finished_s = 2;
  RequestOutcome refused;
  refused.planned = {10, 3};
  refused.sent_s = 2;
  refused.finished_s = 2.1;
  refused.status = absl::ResourceExhaustedError("the queue is full");
  run.outcomes = {good, refused};
  return run;
}

TEST(ServeRow, SumsUpARun) {
  const ServeRow row = ServeRow::Of(2, SomeRun());
  EXPECT_EQ(row.requests, 2);
  EXPECT_EQ(row.completed, 1);
  EXPECT_EQ(row.errors.at("RESOURCE_EXHAUSTED"), 1);
  EXPECT_EQ(row.first_error, "the queue is full");
  EXPECT_EQ(row.prompt_tokens, 100);
  EXPECT_EQ(row.cached_tokens, 60);
  EXPECT_EQ(row.output_tokens, 3);
  EXPECT_DOUBLE_EQ(row.output_tokens_per_s(), 3 / 2.1);
  EXPECT_EQ(row.first_token.count, 1);
  EXPECT_DOUBLE_EQ(row.first_token.p50, 500);
  EXPECT_EQ(row.token_gap.count, 2);
  EXPECT_NEAR(row.token_gap.most, 200, 1e-9);
  EXPECT_DOUBLE_EQ(row.whole_answer.mean, 1000);
}

TEST(ServeReport, HasEveryForm) {
  const ServeReport report{
      "a model", "host:1", "prompts 100", {ServeRow::Of(2, SomeRun())}};
  const nlohmann::json row = ServeReportAsJson(report)["rows"][0];
  EXPECT_EQ(row["completed"], 1);
  EXPECT_EQ(row["errors"]["RESOURCE_EXHAUSTED"], 1);
  EXPECT_EQ(row["first_token_ms"]["p99"], 500.0);
  EXPECT_THAT(ServeReportAsText(report), HasSubstr("1 RESOURCE_EXHAUSTED"));
  const std::string markdown = ServeReportAsMarkdown(report);
  EXPECT_THAT(markdown, HasSubstr("| 2 | 2/s | 0.48 | 1.4 | 500.0 / 500.0"));
  EXPECT_THAT(markdown, HasSubstr("60.0%"));
  EXPECT_THAT(ServeReportAsSvg(report), HasSubstr("time to first token"));
}

TEST(OutcomesAsJsonLines, HasTheTimesOfDay) {
  const std::string lines = OutcomesAsJsonLines(SomeRun());
  const nlohmann::json first =
      nlohmann::json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(first["status"], "OK");
  EXPECT_DOUBLE_EQ(first["sent_s"], 1001);
  EXPECT_DOUBLE_EQ(first["tokens_s"][2], 1001.8);
}

}  // namespace
}  // namespace mlad
