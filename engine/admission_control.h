// Who may wait, and who is refused at once.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

namespace mlad {

/// Counts the requests that wait or run, and learns how long those that run
/// keep their places. Used by one thread at a time.
class AdmissionControl {
 public:
  struct Limits {
    int64_t max_sequences = 1;  // running at once
    int64_t max_queued = 0;     // waiting behind them
    double client_share = 1;    // of both together, for one client
  };
  explicit AdmissionControl(const Limits& limits) : limits_(limits) {}

  struct Candidate {
    std::string client;
    absl::Time now;
    absl::Time deadline = absl::InfiniteFuture();
    int64_t ahead = 0;  // that run, or wait and would go first
  };
  /// Takes a place. Errors: kDeadlineExceeded when the deadline has passed, or
  /// will have when the request's turn is likely to come; kResourceExhausted
  /// when all places or the client's share of them are taken. All but the
  /// first with a retry hint.
  absl::Status TakePlace(const Candidate& candidate);
  void GivePlaceBack(const std::string& client);

  /// A request has come to its end `time` after it began.
  void ObserveService(absl::Duration time);

  /// Until a request with so many `ahead` is likely to begin.
  absl::Duration ExpectedWait(int64_t ahead) const;
  int64_t places() const { return places_; }
  int64_t clients() const { return static_cast<int64_t>(by_client_.size()); }

 private:
  int64_t PlacesOf(const std::string& client) const;
  /// Until a place is likely to be free.
  absl::Duration RetryAfter() const;

  const Limits limits_;
  int64_t places_ = 0;                                   // taken
  absl::flat_hash_map<std::string, int64_t> by_client_;  // more than 0
  absl::Duration service_;                               // average; 0: unknown
};

}  // namespace mlad
