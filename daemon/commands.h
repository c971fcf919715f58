// The commands of `mlad`; each returns the exit status.
#pragma once

#include "absl/status/status.h"

#include "daemon/command_line.h"
#include "daemon/options.h"

namespace mlad {

int RunServe(const ServeOptions& options);
int RunPlan(const PlanOptions& options);
int RunDoctor(const DoctorOptions& options);
int RunCheckConfig(const CheckConfigOptions& options);

/// Prints "mlad: sentence" to stderr. Returns 2 for what the user can mend in
/// the command line or configuration, else 1.
int ReportFailure(const absl::Status& status);

}  // namespace mlad
