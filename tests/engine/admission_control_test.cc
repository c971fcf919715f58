#include "engine/admission_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/retry_hint.h"

namespace mlad {
namespace {

using absl::Milliseconds;
using absl::Seconds;
using testing::HasSubstr;

AdmissionControl::Candidate From(const std::string& client, int64_t ahead = 0) {
  AdmissionControl::Candidate candidate;
  candidate.client = client;
  candidate.now = absl::UnixEpoch();
  candidate.ahead = ahead;
  return candidate;
}

AdmissionControl::Candidate Due(absl::Duration in, int64_t ahead) {
  AdmissionControl::Candidate candidate = From("a", ahead);
  candidate.deadline = candidate.now + in;
  return candidate;
}

TEST(AdmissionControl, RefusesBeyondAllPlacesWithAHint) {
  AdmissionControl control({.max_sequences = 2, .max_queued = 1});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(control.TakePlace(From("a")).ok());
  }
  const absl::Status status = control.TakePlace(From("b"));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("retry in 1s."));
  EXPECT_EQ(RetryHintOf(status), Seconds(1));
  control.GivePlaceBack("a");
  EXPECT_TRUE(control.TakePlace(From("b")).ok());
  EXPECT_EQ(control.places(), 3);
  EXPECT_EQ(control.clients(), 2);
}

TEST(AdmissionControl, TheHintIsTheTimeUntilAPlaceIsFree) {
  AdmissionControl control({.max_sequences = 4, .max_queued = 0});
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(control.TakePlace(From("a")).ok());
  }
  control.ObserveService(Seconds(10));
  EXPECT_EQ(RetryHintOf(control.TakePlace(From("a"))), Milliseconds(2500));
  // An average: of the latest the tenth part counts.
  control.ObserveService(Seconds(30));
  EXPECT_EQ(RetryHintOf(control.TakePlace(From("a"))), Seconds(3));
  for (int i = 0; i < 100; ++i) control.ObserveService(absl::Hours(1));
  EXPECT_EQ(RetryHintOf(control.TakePlace(From("a"))), absl::Minutes(1));
}

TEST(AdmissionControl, AClientHasItsShareOnly) {
  AdmissionControl control(
      {.max_sequences = 4, .max_queued = 4, .client_share = 0.5});
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(control.TakePlace(From("a")).ok());
  }
  const absl::Status status = control.TakePlace(From("a"));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has 4 requests"));
  EXPECT_TRUE(RetryHintOf(status).has_value());
  EXPECT_TRUE(control.TakePlace(From("b")).ok());
  control.GivePlaceBack("a");
  EXPECT_TRUE(control.TakePlace(From("a")).ok());
  for (int i = 0; i < 4; ++i) control.GivePlaceBack("a");
  control.GivePlaceBack("b");
  EXPECT_EQ(control.clients(), 0);
}

TEST(AdmissionControl, ASmallShareIsAPlaceAtLeast) {
  AdmissionControl control(
      {.max_sequences = 2, .max_queued = 2, .client_share = 0.01});
  EXPECT_TRUE(control.TakePlace(From("a")).ok());
  EXPECT_FALSE(control.TakePlace(From("a")).ok());
}

TEST(AdmissionControl, WaitsAreExpectedForThoseThatMustEndFirst) {
  AdmissionControl control({.max_sequences = 4, .max_queued = 100});
  EXPECT_EQ(control.ExpectedWait(50), absl::ZeroDuration());  // unknown
  control.ObserveService(Seconds(8));
  EXPECT_EQ(control.ExpectedWait(3), absl::ZeroDuration());
  EXPECT_EQ(control.ExpectedWait(4), Seconds(2));
  EXPECT_EQ(control.ExpectedWait(11), Seconds(16));
}

TEST(AdmissionControl, RefusesWhatCannotBeginInTime) {
  AdmissionControl control({.max_sequences = 4, .max_queued = 100});
  EXPECT_EQ(control.TakePlace(Due(absl::ZeroDuration(), 0)).code(),
            absl::StatusCode::kDeadlineExceeded);
  control.ObserveService(Seconds(8));
  const absl::Status status = control.TakePlace(Due(Seconds(15), 11));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("about 16s"));
  EXPECT_EQ(RetryHintOf(status), Seconds(16));
  EXPECT_EQ(control.places(), 0);
  EXPECT_TRUE(control.TakePlace(Due(Seconds(17), 11)).ok());
  EXPECT_TRUE(control.TakePlace(Due(Milliseconds(1), 3)).ok());
}

}  // namespace
}  // namespace mlad
