// Admin's calls about sessions: on a work queue, since they read and write
// files.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include "absl/status/statusor.h"

#include "rpc/served_model.h"

namespace mlad {

/// Each answers the v1 request of its name; errors as in mlad/v1/admin.proto.
absl::StatusOr<grpc::ByteBuffer> AnswerSaveSession(
    const grpc::ByteBuffer& bytes, const ServedModel& model);
absl::StatusOr<grpc::ByteBuffer> AnswerListSessions(
    const grpc::ByteBuffer& bytes, const ServedModel& model);
absl::StatusOr<grpc::ByteBuffer> AnswerRestoreSession(
    const grpc::ByteBuffer& bytes, const ServedModel& model);
absl::StatusOr<grpc::ByteBuffer> AnswerDropSession(
    const grpc::ByteBuffer& bytes, const ServedModel& model);

}  // namespace mlad
