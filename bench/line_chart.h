// Line charts as SVG, for documents.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace mlad {

struct ChartLine {
  std::string name;
  std::vector<std::pair<double, double>> points;  // x ascending
};

/// x is drawn to the base-2 logarithm with a mark at each point's x; y begins
/// at 0.
struct LineChart {
  std::string title;
  std::string x_title;
  std::string y_title;
  std::vector<ChartLine> lines;
};

/// A whole SVG file: readable on light and dark pages. Charts without points
/// have axes only.
std::string ChartAsSvg(const LineChart& chart);

}  // namespace mlad
