#include "rpc/status_mapping.h"

#include <optional>
#include <string>

#include <google/protobuf/util/time_util.h>

#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

#include "base/retry_hint.h"

namespace mlad {
namespace {

using google::protobuf::util::TimeUtil;

// Messages travel in a header, and headers are limited to some kilobytes.
constexpr size_t kMaxMessageBytes = 2048;

std::string DetailsOf(const grpc::Status& status, absl::Duration retry_after) {
  google::rpc::RetryInfo info;
  *info.mutable_retry_delay() =
      TimeUtil::MillisecondsToDuration(absl::ToInt64Milliseconds(retry_after));
  google::rpc::Status details;
  details.set_code(status.error_code());
  details.set_message(status.error_message());
  details.add_details()->PackFrom(info);
  return details.SerializeAsString();
}

std::optional<absl::Duration> RetryDelayOf(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return std::nullopt;
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::RetryInfo info;
    if (!detail.UnpackTo(&info)) continue;
    return absl::Milliseconds(
        TimeUtil::DurationToMilliseconds(info.retry_delay()));
  }
  return std::nullopt;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const grpc::Status plain(
      static_cast<grpc::StatusCode>(status.raw_code()),
      std::string(status.message().substr(0, kMaxMessageBytes)));
  const auto retry_after = RetryHintOf(status);
  if (!retry_after.has_value()) return plain;
  return grpc::Status(plain.error_code(), plain.error_message(),
                      DetailsOf(plain, *retry_after));
}

absl::Status ToAbslStatus(const grpc::Status& status) {
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
  if (const auto delay = RetryDelayOf(status); delay.has_value()) {
    SetRetryHint(result, *delay);
  }
  return result;
}

}  // namespace mlad
