// From a request's bytes to what the engine takes: parses, validates, renders
// the chat template, tokenizes. Takes time in proportion to the text, so not
// for callback threads.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include "absl/status/statusor.h"

#include "engine/engine.h"
#include "rpc/served_model.h"

namespace mlad {

struct GenerationOrder {
  GenerationRequest request;
  bool echo = false;
};

/// Of a v1::GenerateRequest. The deadline is left to the caller.
/// Errors: kInvalidArgument naming the field.
absl::StatusOr<GenerationOrder> ReadGenerateRequest(
    const grpc::ByteBuffer& bytes, const ServedModel& model);

/// Of a v1::ChatRequest.
/// Errors: kInvalidArgument naming the field; kUnimplemented when the model has
/// no known chat template.
absl::StatusOr<GenerationOrder> ReadChatRequest(const grpc::ByteBuffer& bytes,
                                                const ServedModel& model);

/// Of a v1::ScoreRequest.
absl::StatusOr<ScoreRequest> ReadScoreRequest(const grpc::ByteBuffer& bytes,
                                              const ServedModel& model);

/// Answers a v1::TokenizeRequest with a v1::TokenizeResponse.
absl::StatusOr<grpc::ByteBuffer> AnswerTokenize(const grpc::ByteBuffer& bytes,
                                                const ServedModel& model);

/// Answers a v1::DetokenizeRequest with a v1::DetokenizeResponse.
absl::StatusOr<grpc::ByteBuffer> AnswerDetokenize(const grpc::ByteBuffer& bytes,
                                                  const ServedModel& model);

}  // namespace mlad
