#include "engine/admission_control.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "base/retry_hint.h"

namespace mlad {
namespace {

// Of the latest request in the average time of service.
constexpr double kWeight = 0.1;
// Hints: before anything is known, and their bounds.
constexpr absl::Duration kFirstHint = absl::Seconds(1);
constexpr absl::Duration kShortestHint = absl::Milliseconds(100);
constexpr absl::Duration kLongestHint = absl::Minutes(1);

}  // namespace

absl::Status AdmissionControl::TakePlace(const Candidate& candidate) {
  if (candidate.deadline <= candidate.now) {
    return absl::DeadlineExceededError(
        "The deadline had passed when the request came; allow more time.");
  }
  const int64_t all = limits_.max_sequences + limits_.max_queued;
  if (places_ >= all) {
    return BusyError(absl::StrCat("The queue is full with ", limits_.max_queued,
                                  " requests waiting"),
                     RetryAfter());
  }
  const int64_t held = PlacesOf(candidate.client);
  const auto share =
      static_cast<int64_t>(limits_.client_share * static_cast<double>(all));
  if (held >= std::max<int64_t>(share, 1)) {
    return BusyError(absl::StrCat("This client has ", held,
                                  " requests running or waiting, its share"),
                     RetryAfter());
  }
  const absl::Duration wait = ExpectedWait(candidate.ahead);
  if (candidate.now + wait > candidate.deadline) {
    absl::Status status = absl::DeadlineExceededError(absl::StrCat(
        "The request would wait for about ",
        absl::FormatDuration(absl::Ceil(wait, absl::Milliseconds(100))),
        " and not begin before its deadline; allow more time or retry later."));
    SetRetryHint(status, std::min(wait, kLongestHint));
    return status;
  }
  ++by_client_[candidate.client];
  ++places_;
  return absl::OkStatus();
}

void AdmissionControl::GivePlaceBack(const std::string& client) {
  --places_;
  const auto found = by_client_.find(client);
  if (--found->second == 0) by_client_.erase(found);
}

void AdmissionControl::ObserveService(absl::Duration time) {
  service_ = service_ == absl::ZeroDuration()
                 ? time
                 : service_ + kWeight * (time - service_);
}

absl::Duration AdmissionControl::ExpectedWait(int64_t ahead) const {
  const int64_t must_end = ahead + 1 - limits_.max_sequences;
  if (must_end <= 0) return absl::ZeroDuration();
  return service_ * static_cast<double>(must_end) /
         static_cast<double>(limits_.max_sequences);
}

int64_t AdmissionControl::PlacesOf(const std::string& client) const {
  const auto found = by_client_.find(client);
  return found == by_client_.end() ? 0 : found->second;
}

absl::Duration AdmissionControl::RetryAfter() const {
  if (service_ == absl::ZeroDuration()) return kFirstHint;
  return std::clamp(service_ / limits_.max_sequences, kShortestHint,
                    kLongestHint);
}

}  // namespace mlad
