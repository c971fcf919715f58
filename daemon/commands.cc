#include "daemon/commands.h"

#include <iostream>

namespace mlad {

int ReportFailure(const absl::Status& status) {
  std::cerr << "mlad: " << status.message() << "\n";
  return status.code() == absl::StatusCode::kInvalidArgument ? kUsageError : 1;
}

}  // namespace mlad
