#include "base/retry_hint.h"

#include <cstdint>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

constexpr char kPayload[] = "mlad/retry-after-ms";

}  // namespace

void SetRetryHint(absl::Status& status, absl::Duration after) {
  status.SetPayload(kPayload,
                    absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(after))));
}

std::optional<absl::Duration> RetryHintOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  int64_t ms = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &ms)) {
    return std::nullopt;
  }
  return absl::Milliseconds(ms);
}

absl::Status BusyError(absl::string_view what, absl::Duration retry_after) {
  const absl::Duration shown = absl::Ceil(retry_after, absl::Milliseconds(100));
  absl::Status status = absl::ResourceExhaustedError(
      absl::StrCat(what, "; retry in ", absl::FormatDuration(shown), "."));
  SetRetryHint(status, shown);
  return status;
}

}  // namespace mlad
