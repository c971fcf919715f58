// When a refused request may come again; travels with its status.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace mlad {

/// `status` is not OK; `after` is rounded to milliseconds.
void SetRetryHint(absl::Status& status, absl::Duration after);
std::optional<absl::Duration> RetryHintOf(const absl::Status& status);

/// kResourceExhausted with the sentence "`what`; retry in 1.5s." and the hint.
absl::Status BusyError(absl::string_view what, absl::Duration retry_after);

}  // namespace mlad
