#include "bench/serve_report.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

#include "bench/line_chart.h"

namespace mlad {
namespace {

std::string Rate(double rate) {
  return rate > 0 ? absl::StrFormat("%g/s", rate) : "at once";
}

std::string Times(const Percentiles& times) {
  return absl::StrFormat("%.1f / %.1f / %.1f", times.p50, times.p95, times.p99);
}

std::string Errors(const ServeRow& row) {
  if (row.errors.empty()) return "none";
  return absl::StrJoin(row.errors, ", ",
                       [](std::string* out, const auto& entry) {
                         absl::StrAppend(out, entry.second, " ", entry.first);
                       });
}

std::vector<std::vector<std::string>> Cells(const ServeReport& report) {
  std::vector<std::vector<std::string>> cells = {
      {"requests", "arriving", "requests/s", "tokens/s",
       "first token, ms (p50/p95/p99)", "token gap, ms (p50/p95/p99)", "cached",
       "errors"}};
  for (const ServeRow& row : report.rows) {
    const double cached = row.prompt_tokens == 0
                              ? 0
                              : 100 * static_cast<double>(row.cached_tokens) /
                                    static_cast<double>(row.prompt_tokens);
    cells.push_back({absl::StrCat(row.requests), Rate(row.rate),
                     absl::StrFormat("%.2f", row.requests_per_s()),
                     absl::StrFormat("%.1f", row.output_tokens_per_s()),
                     Times(row.first_token), Times(row.token_gap),
                     absl::StrFormat("%.1f%%", cached), Errors(row)});
  }
  return cells;
}

std::string Facts(const ServeReport& report) {
  std::string facts = absl::StrCat(report.model, " at ", report.address, "\n",
                                   report.workload, "\n");
  for (const ServeRow& row : report.rows) {
    if (row.first_error.empty()) continue;
    absl::StrAppend(&facts, "first error at ", Rate(row.rate), ": ",
                    row.first_error, "\n");
  }
  return facts;
}

nlohmann::json ToJson(const Percentiles& times) {
  return {{"count", times.count}, {"mean", times.mean}, {"p50", times.p50},
          {"p95", times.p95},     {"p99", times.p99},   {"max", times.most}};
}

LineChart Chart(const ServeReport& report, const std::string& title,
                Percentiles ServeRow::*times) {
  LineChart chart{title, "requests/s", "ms", {}};
  const std::pair<const char*, double Percentiles::*> kLines[] = {
      {"p50", &Percentiles::p50},
      {"p95", &Percentiles::p95},
      {"p99", &Percentiles::p99}};
  for (const auto& [name, value] : kLines) {
    ChartLine& line = chart.lines.emplace_back();
    line.name = name;
    for (const ServeRow& row : report.rows) {
      if (row.rate > 0) line.points.emplace_back(row.rate, row.*times.*value);
    }
    std::sort(line.points.begin(), line.points.end());
  }
  return chart;
}

/// An SVG file of its own as a part of another.
std::string Nested(const std::string& svg, int y) {
  return absl::StrReplaceAll(
      svg, {{"<svg ", absl::StrFormat("<svg y=\"%d\" width=\"720\" "
                                      "height=\"400\" ",
                                      y)}});
}

}  // namespace

Percentiles Percentiles::Of(std::vector<double> values_ms) {
  Percentiles result;
  if (values_ms.empty()) return result;
  std::sort(values_ms.begin(), values_ms.end());
  const auto count = static_cast<double>(values_ms.size());
  const auto percentile = [&](double percent) {
    return values_ms[static_cast<size_t>(
        std::max(0.0, std::ceil(percent / 100 * count) - 1))];
  };
  double sum = 0;
  for (const double value : values_ms) sum += value;
  result.count = static_cast<int64_t>(values_ms.size());
  result.mean = sum / count;
  result.p50 = percentile(50);
  result.p95 = percentile(95);
  result.p99 = percentile(99);
  result.most = values_ms.back();
  return result;
}

ServeRow ServeRow::Of(double rate, const LoadRun& run) {
  ServeRow row;
  row.rate = rate;
  row.requests = static_cast<int64_t>(run.outcomes.size());
  std::vector<double> first, gaps, whole;
  for (const RequestOutcome& outcome : run.outcomes) {
    row.duration_s = std::max(row.duration_s, outcome.finished_s);
    const std::vector<double>& tokens = outcome.tokens_s;
    row.output_tokens += static_cast<int64_t>(tokens.size());
    if (!tokens.empty()) first.push_back(1e3 * (tokens[0] - outcome.sent_s));
    for (size_t i = 1; i < tokens.size(); ++i) {
      gaps.push_back(1e3 * (tokens[i] - tokens[i - 1]));
    }
    if (!outcome.status.ok()) {
      ++row.errors[absl::StatusCodeToString(outcome.status.code())];
      if (row.first_error.empty()) {
        row.first_error = std::string(outcome.status.message());
      }
      continue;
    }
    ++row.completed;
    row.prompt_tokens += outcome.planned.prompt_tokens;
    row.cached_tokens += outcome.cached_tokens;
    whole.push_back(1e3 * (outcome.finished_s - outcome.sent_s));
  }
  row.first_token = Percentiles::Of(std::move(first));
  row.token_gap = Percentiles::Of(std::move(gaps));
  row.whole_answer = Percentiles::Of(std::move(whole));
  return row;
}

double ServeRow::output_tokens_per_s() const {
  return duration_s > 0 ? static_cast<double>(output_tokens) / duration_s : 0;
}

double ServeRow::requests_per_s() const {
  return duration_s > 0 ? static_cast<double>(completed) / duration_s : 0;
}

std::string ServeReportAsText(const ServeReport& report) {
  std::string text = Facts(report);
  for (const ServeRow& row : report.rows) {
    absl::StrAppend(
        &text, "\n",
        absl::StrFormat(
            "%d requests, %s: %d completed in %.1f s (%.2f/s); "
            "errors: %s\n",
            row.requests,
            row.rate > 0 ? Rate(row.rate) + " (Poisson)" : "all at once",
            row.completed, row.duration_s, row.requests_per_s(), Errors(row)),
        absl::StrFormat("  tokens: %d generated (%.1f/s), %d of prompts, %d of "
                        "them from the cache\n",
                        row.output_tokens, row.output_tokens_per_s(),
                        row.prompt_tokens, row.cached_tokens),
        "  p50 / p95 / p99, ms\n", "    first token  ", Times(row.first_token),
        "\n    token gap    ", Times(row.token_gap),
        absl::StrFormat("  (longest %.1f)", row.token_gap.most),
        "\n    whole answer ", Times(row.whole_answer), "\n");
  }
  return text;
}

std::string ServeReportAsMarkdown(const ServeReport& report) {
  std::string text = absl::StrReplaceAll(Facts(report), {{"\n", "\n\n"}});
  bool is_head = true;
  for (const std::vector<std::string>& row : Cells(report)) {
    absl::StrAppend(&text, "| ", absl::StrJoin(row, " | "), " |\n");
    if (!is_head) continue;
    is_head = false;
    text += "|";
    for (size_t i = 0; i < row.size(); ++i) text += "---|";
    text += "\n";
  }
  return text;
}

nlohmann::json ServeReportAsJson(const ServeReport& report) {
  nlohmann::json rows = nlohmann::json::array();
  for (const ServeRow& row : report.rows) {
    rows.push_back({{"rate", row.rate},
                    {"requests", row.requests},
                    {"completed", row.completed},
                    {"errors", row.errors},
                    {"first_error", row.first_error},
                    {"duration_s", row.duration_s},
                    {"requests_per_s", row.requests_per_s()},
                    {"output_tokens", row.output_tokens},
                    {"output_tokens_per_s", row.output_tokens_per_s()},
                    {"prompt_tokens", row.prompt_tokens},
                    {"cached_tokens", row.cached_tokens},
                    {"first_token_ms", ToJson(row.first_token)},
                    {"token_gap_ms", ToJson(row.token_gap)},
                    {"whole_answer_ms", ToJson(row.whole_answer)}});
  }
  return {{"model", report.model},
          {"address", report.address},
          {"workload", report.workload},
          {"rows", rows}};
}

std::string ServeReportAsSvg(const ServeReport& report) {
  const std::string gaps = ChartAsSvg(Chart(
      report, report.model + ": gap between tokens", &ServeRow::token_gap));
  const std::string first = ChartAsSvg(Chart(
      report, report.model + ": time to first token", &ServeRow::first_token));
  return absl::StrCat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 800\">\n",
      Nested(gaps, 0), Nested(first, 400), "</svg>\n");
}

std::string OutcomesAsJsonLines(const LoadRun& run) {
  const double start = absl::ToDoubleSeconds(run.start - absl::UnixEpoch());
  std::string lines;
  for (const RequestOutcome& outcome : run.outcomes) {
    nlohmann::json tokens = nlohmann::json::array();
    for (const double at_s : outcome.tokens_s) tokens.push_back(start + at_s);
    const nlohmann::json line = {
        {"status", absl::StatusCodeToString(outcome.status.code())},
        {"prompt_tokens", outcome.planned.prompt_tokens},
        {"cached_tokens", outcome.cached_tokens},
        {"sent_s", start + outcome.sent_s},
        {"finished_s", start + outcome.finished_s},
        {"tokens_s", std::move(tokens)}};
    absl::StrAppend(&lines, line.dump(), "\n");
  }
  return lines;
}

}  // namespace mlad
