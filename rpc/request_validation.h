// Checks the fields of requests, each against the range that the proto files
// state. Errors are kInvalidArgument in one sentence that names the field as
// the proto file does, its value and its range.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/repeated_field.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mlad/v1/inference.pb.h"

#include "engine/engine.h"

namespace mlad {

/// Fills in the defaults of the proto file.
absl::StatusOr<SamplingParams> ReadSampling(const v1::Sampling& sampling,
                                            int64_t vocab_size);

/// Everything of the request but its prompt and deadline.
absl::StatusOr<GenerationRequest> ReadGenerationOptions(
    const v1::GenerationOptions& options, int64_t vocab_size);

/// `field`: its name in the proto file, for the error.
absl::StatusOr<std::vector<int32_t>> ReadTokenIds(
    const google::protobuf::RepeatedField<int32_t>& ids, int64_t vocab_size,
    std::string_view field);

absl::Status ValidateMessages(const v1::ChatRequest& request);

/// `field` as above.
absl::StatusOr<int> ReadPriority(int32_t priority, std::string_view field);

/// Of Score.
absl::Status ValidateTopLogprobs(int32_t top_logprobs);

}  // namespace mlad
