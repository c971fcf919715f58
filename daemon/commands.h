// The commands of `mlad`; each returns the exit status.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "daemon/command_line.h"
#include "daemon/options.h"

namespace mlad {

/// Reads the command line and the configuration file again. Errors:
/// kInvalidArgument; the sentence has gone to stderr.
using ReadServeOptions = std::function<absl::StatusOr<ServeOptions>()>;

int RunServe(const ServeOptions& options, const ReadServeOptions& read_again);
int RunPlan(const PlanOptions& options);
int RunDoctor(const DoctorOptions& options);
int RunCheckConfig(const CheckConfigOptions& options);
int RunMakeToken(const MakeTokenOptions& options);

/// Prints "mlad: sentence" to stderr. Returns 2 for what the user can mend in
/// the command line or configuration, else 1.
int ReportFailure(const absl::Status& status);

}  // namespace mlad
