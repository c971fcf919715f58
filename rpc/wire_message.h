// Messages as they travel. The services take requests as bytes and parse them
// here: gRPC's own parsing answers a malformed request, such as one whose text
// is not UTF-8, with UNIMPLEMENTED and no word about the field.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"

namespace mlad {

/// Errors: kInvalidArgument naming the field whose text is not UTF-8, or saying
/// that the bytes are no message of this type.
absl::Status ParseMessage(const grpc::ByteBuffer& bytes,
                          google::protobuf::Message* message);

grpc::ByteBuffer SerializeMessage(const google::protobuf::MessageLite& message);

}  // namespace mlad
