// What monitoring reads, in the text format of Prometheus.
#pragma once

#include <string>

#include "mlad/v1/admin.pb.h"

namespace mlad {

/// `experts`: of models that have any. Counters grow from the start of the
/// process. Source: https://prometheus.io/docs/instrumenting/exposition_formats
std::string MetricsText(const v1::Stats& stats, const v1::Experts& experts,
                        const std::string& version);

}  // namespace mlad
