#include "bench/line_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace mlad {
namespace {

constexpr double kWidth = 720, kHeight = 400;
constexpr double kLeft = 64, kRight = 190, kTop = 40, kBottom = 56;
constexpr const char* kColours[] = {"#1f77b4", "#d62728", "#2ca02c",
                                    "#9467bd", "#ff7f0e", "#8c564b"};
constexpr size_t kColourCount = sizeof kColours / sizeof *kColours;

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

/// 1, 2 or 5 times a power of ten, so that about five fit below `most`.
double RoundStep(double most) {
  const double power = std::pow(10, std::floor(std::log10(most / 5)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (most / (factor * power) <= 6) return factor * power;
  }
  return 10 * power;
}

/// 1024 -> "1k"; what is no multiple of it stays.
std::string ShortNumber(double value) {
  const auto whole = static_cast<int64_t>(value);
  if (whole >= 1024 && whole % 1024 == 0) {
    return absl::StrFormat("%dk", whole / 1024);
  }
  return absl::StrFormat("%g", value);
}

class Plot {
 public:
  explicit Plot(const LineChart& chart) : chart_(chart) {
    for (const ChartLine& line : chart.lines) {
      for (const auto& [x, y] : line.points) {
        marks_.insert(x);
        y_most_ = std::max(y_most_, y);
      }
    }
    if (marks_.empty()) marks_.insert(1);
    if (y_most_ == 0) y_most_ = 1;
    step_ = RoundStep(y_most_);
    y_most_ = std::ceil(y_most_ / step_) * step_;
  }

  std::string Draw() {
    svg_ = absl::StrFormat(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
        kWidth, kHeight);
    Text(kLeft, 22, "start", chart_.title, " font-size=\"14\"");
    DrawAxes();
    for (size_t i = 0; i < chart_.lines.size(); ++i) DrawLine(i);
    return svg_ + "</svg>\n";
  }

 private:
  double X(double x) const {
    const double first = std::log2(*marks_.begin());
    const double span = std::max(std::log2(*marks_.rbegin()) - first, 1e-9);
    return kLeft + (std::log2(x) - first) / span * (kWidth - kLeft - kRight);
  }
  double Y(double y) const {
    return kHeight - kBottom - y / y_most_ * (kHeight - kTop - kBottom);
  }

  void Text(double x, double y, const char* anchor, const std::string& text,
            const char* more = "") {
    absl::StrAppendFormat(
        &svg_, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>\n",
        x, y, anchor, more, Escape(text));
  }
  void Rule(double x1, double y1, double x2, double y2, const char* colour) {
    absl::StrAppendFormat(&svg_,
                          "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
                          "y2=\"%.1f\" stroke=\"%s\"/>\n",
                          x1, y1, x2, y2, colour);
  }

  void DrawAxes() {
    const double right = kWidth - kRight, bottom = kHeight - kBottom;
    const auto steps = static_cast<int>(std::lround(y_most_ / step_));
    for (int i = 0; i <= steps; ++i) {
      Rule(kLeft, Y(i * step_), right, Y(i * step_), i == 0 ? "#444" : "#ddd");
      Text(kLeft - 6, Y(i * step_) + 4, "end",
           absl::StrFormat("%g", i * step_));
    }
    for (const double x : marks_) {
      Rule(X(x), bottom, X(x), bottom + 4, "#444");
      Text(X(x), bottom + 18, "middle", ShortNumber(x));
    }
    Text((kLeft + right) / 2, kHeight - 12, "middle", chart_.x_title);
    absl::StrAppendFormat(&svg_,
                          "<text transform=\"translate(16 %.1f) rotate(-90)\" "
                          "text-anchor=\"middle\">%s</text>\n",
                          (kTop + bottom) / 2, Escape(chart_.y_title));
  }

  void DrawLine(size_t index) {
    const ChartLine& line = chart_.lines[index];
    const char* colour = kColours[index % kColourCount];
    std::string points;
    for (const auto& [x, y] : line.points) {
      absl::StrAppendFormat(&points, "%.1f,%.1f ", X(x), Y(y));
    }
    absl::StrAppendFormat(
        &svg_,
        "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" "
        "stroke-width=\"2\"%s/>\n",
        points, colour,
        index >= kColourCount ? " stroke-dasharray=\"5 3\"" : "");
    const double y = kTop + 8 + 20 * static_cast<double>(index);
    const double x = kWidth - kRight + 12;
    Rule(x, y, x + 18, y, colour);
    Text(x + 24, y + 4, "start", line.name);
  }

  const LineChart& chart_;
  std::set<double> marks_;
  double y_most_ = 0, step_ = 1;
  std::string svg_;
};

}  // namespace

std::string ChartAsSvg(const LineChart& chart) { return Plot(chart).Draw(); }

}  // namespace mlad
