// The results of mla-bench as a picture.
#pragma once

#include <string>

#include "bench/bench_report.h"

namespace mlad {

/// An SVG picture of two panels: prompt speed against the prompt's length (one
/// line a depth), generation speed against depth (one line a number of tokens
/// and a batch size). Medians, with bars from the slowest to the fastest
/// repetition. A panel without rows is left out.
std::string PlotAsSvg(const BenchReport& report);

}  // namespace mlad
