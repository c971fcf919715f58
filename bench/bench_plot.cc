#include "bench/bench_plot.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace mlad {
namespace {

// Sizes in pixels.
constexpr double kPanelWidth = 520;
constexpr double kPlotWidth = 420;
constexpr double kPlotHeight = 260;
constexpr double kLeft = 64;
constexpr double kTop = 64;
constexpr double kLegendRow = 16;
constexpr double kBelow = 56;

// Told apart by readers who see colours differently (Okabe and Ito).
constexpr const char* kColours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                    "#E69F00", "#56B4E9", "#000000"};

struct Point {
  int64_t x = 0;  // tokens
  double median = 0, least = 0, most = 0;
};

struct Panel {
  std::string title;
  std::string x_label;
  std::map<std::string, std::vector<Point>> lines;  // by name
};

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

/// Token counts on a logarithmic axis, an octave a step; 0 has a place an
/// octave below the smallest other.
class TokenAxis {
 public:
  explicit TokenAxis(const Panel& panel) {
    for (const auto& [name, points] : panel.lines) {
      for (const Point& point : points) ticks_.insert(point.x);
    }
    const auto positive = ticks_.upper_bound(0);
    zero_ = positive == ticks_.end()
                ? 0
                : std::log2(static_cast<double>(*positive)) - 1;
    least_ = Octave(*ticks_.begin());
    most_ = Octave(*ticks_.rbegin());
  }

  const std::set<int64_t>& ticks() const { return ticks_; }
  double X(int64_t tokens) const {
    if (most_ == least_) return kLeft + kPlotWidth / 2;
    return kLeft + 16 +
           (kPlotWidth - 32) * (Octave(tokens) - least_) / (most_ - least_);
  }

 private:
  double Octave(int64_t tokens) const {
    return tokens <= 0 ? zero_ : std::log2(static_cast<double>(tokens));
  }

  std::set<int64_t> ticks_;
  double zero_ = 0, least_ = 0, most_ = 0;
};

/// Speeds from 0 up to a round number.
class SpeedAxis {
 public:
  explicit SpeedAxis(const Panel& panel) {
    double most = 0;
    for (const auto& [name, points] : panel.lines) {
      for (const Point& point : points) most = std::max(most, point.most);
    }
    const double magnitude = std::pow(10, std::floor(std::log10(most / 5)));
    for (const double factor : {1, 2, 5, 10}) {
      step_ = factor * magnitude;
      if (step_ * 5 >= most) break;
    }
  }

  double step() const { return step_; }
  double Y(double speed) const {
    return kTop + kPlotHeight * (1 - speed / (5 * step_));
  }

 private:
  double step_ = 1;
};

void Text(std::string& svg, double x, double y, const std::string& anchor,
          const std::string& text) {
  absl::StrAppendFormat(
      &svg, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y,
      anchor, Escape(text));
}

void Line(std::string& svg, double x1, double y1, double x2, double y2) {
  absl::StrAppendFormat(
      &svg, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x1, y1,
      x2, y2);
}

void DrawAxes(std::string& svg, const Panel& panel, const TokenAxis& tokens,
              const SpeedAxis& speeds) {
  absl::StrAppend(&svg, "<g stroke=\"#ccc\" stroke-width=\"1\">\n");
  for (int i = 0; i <= 5; ++i) {
    const double y = speeds.Y(i * speeds.step());
    Line(svg, kLeft, y, kLeft + kPlotWidth, y);
  }
  absl::StrAppend(&svg, "</g>\n");
  for (int i = 0; i <= 5; ++i) {
    Text(svg, kLeft - 6, speeds.Y(i * speeds.step()) + 4, "end",
         absl::StrFormat("%g", i * speeds.step()));
  }
  double last_x = -1e9;
  for (const int64_t tick : tokens.ticks()) {
    const double x = tokens.X(tick);
    if (x - last_x < 34) continue;  // the labels would touch
    Text(svg, x, kTop + kPlotHeight + 16, "middle", absl::StrCat(tick));
    last_x = x;
  }
  Text(svg, kLeft + kPlotWidth / 2, kTop + kPlotHeight + 36, "middle",
       panel.x_label);
  Text(svg, kLeft, kTop - 14, "start", absl::StrCat(panel.title, ", tokens/s"));
}

void DrawLine(std::string& svg, const std::vector<Point>& points,
              const TokenAxis& tokens, const SpeedAxis& speeds,
              const char* colour) {
  absl::StrAppendFormat(&svg,
                        "<g stroke=\"%s\" stroke-width=\"1.5\" fill=\"none\">\n"
                        "<polyline points=\"",
                        colour);
  for (const Point& point : points) {
    absl::StrAppendFormat(&svg, "%.1f,%.1f ", tokens.X(point.x),
                          speeds.Y(point.median));
  }
  absl::StrAppend(&svg, "\"/>\n");
  for (const Point& point : points) {
    const double x = tokens.X(point.x);
    Line(svg, x, speeds.Y(point.least), x, speeds.Y(point.most));
    absl::StrAppendFormat(
        &svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x,
        speeds.Y(point.median), colour);
  }
  absl::StrAppend(&svg, "</g>\n");
}

void DrawPanel(std::string& svg, const Panel& panel, double x) {
  const TokenAxis tokens(panel);
  const SpeedAxis speeds(panel);
  absl::StrAppendFormat(&svg, "<g transform=\"translate(%.1f,0)\">\n", x);
  DrawAxes(svg, panel, tokens, speeds);
  size_t number = 0;
  for (const auto& [name, points] : panel.lines) {
    const char* colour = kColours[number % std::size(kColours)];
    DrawLine(svg, points, tokens, speeds, colour);
    const double y =
        kTop + kPlotHeight + kBelow + kLegendRow * static_cast<double>(number);
    absl::StrAppendFormat(&svg, "<g stroke=\"%s\" stroke-width=\"2\">", colour);
    Line(svg, kLeft, y - 4, kLeft + 20, y - 4);
    absl::StrAppend(&svg, "</g>\n");
    Text(svg, kLeft + 26, y, "start", name);
    ++number;
  }
  absl::StrAppend(&svg, "</g>\n");
}

std::vector<Panel> Panels(const BenchReport& report) {
  Panel prompt = {"prompt", "tokens in the prompt", {}};
  Panel generation = {"generation", "tokens in the cache before", {}};
  for (const BenchRow& row : report.rows) {
    const bool is_prompt = row.kind == BenchKind::kPrompt;
    const std::string name =
        is_prompt ? row.depth == 0
                        ? "from an empty cache"
                        : absl::StrCat("after ", row.depth, " tokens")
                  : absl::StrCat("tg", row.tokens, ", batch ", row.batch);
    (is_prompt ? prompt : generation)
        .lines[name]
        .push_back({is_prompt ? row.tokens : row.depth, row.Median(),
                    row.Least(), row.Most()});
  }
  std::vector<Panel> panels;
  for (Panel& panel : std::vector<Panel>{prompt, generation}) {
    if (panel.lines.empty()) continue;
    for (auto& [name, points] : panel.lines) {
      std::sort(points.begin(), points.end(),
                [](const Point& a, const Point& b) { return a.x < b.x; });
    }
    panels.push_back(panel);
  }
  return panels;
}

}  // namespace

std::string PlotAsSvg(const BenchReport& report) {
  const std::vector<Panel> panels = Panels(report);
  size_t legend_rows = 0;
  for (const Panel& panel : panels) {
    legend_rows = std::max(legend_rows, panel.lines.size());
  }
  const std::string title = absl::StrFormat(
      "%s, %s weights, %s cache, %s kernels, %d workers, nodes: %d",
      report.model, report.weight_type, report.kv_type, report.isa,
      report.workers, report.nodes);
  const double width = kPanelWidth * static_cast<double>(panels.size());
  const double height = kTop + kPlotHeight + kBelow +
                        kLegendRow * static_cast<double>(legend_rows);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
      "height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<title>%s</title>\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
      width, height, width, height, Escape(title));
  Text(svg, kLeft, 24, "start", title);
  for (size_t i = 0; i < panels.size(); ++i) {
    DrawPanel(svg, panels[i], kPanelWidth * static_cast<double>(i));
  }
  return svg + "</svg>\n";
}

}  // namespace mlad
