#include "rpc/status_mapping.h"

#include <string>

namespace mlad {
namespace {

// Messages travel in a header, and headers are limited to some kilobytes.
constexpr size_t kMaxMessageBytes = 2048;

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(
      static_cast<grpc::StatusCode>(status.raw_code()),
      std::string(status.message().substr(0, kMaxMessageBytes)));
}

absl::Status ToAbslStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

}  // namespace mlad
