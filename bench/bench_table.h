// The results of mla-bench for people.
#pragma once

#include <string>

#include "bench/bench_report.h"

namespace mlad {

/// The machine and the model in a few lines, then a table in aligned columns.
std::string ReportAsText(const BenchReport& report);
/// The same for a page: a list, then a Markdown table.
std::string ReportAsMarkdown(const BenchReport& report);

}  // namespace mlad
