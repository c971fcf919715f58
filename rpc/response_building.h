// From what the engine reports to the messages of the Inference service.
#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "mlad/v1/inference.pb.h"

#include "engine/engine.h"
#include "model/tokenizer.h"

namespace mlad {

v1::GenerateResponse ProgressResponse(int64_t done, int64_t total);

/// Of a request with these tokens as its prompt.
v1::GenerateResponse PromptResponse(absl::Span<const int32_t> prompt,
                                    const Tokenizer& tokenizer);

/// `tokens`: those that `result` is about, which begin at `first` of the
/// prompt.
v1::GenerateResponse PromptLogprobsResponse(int64_t first,
                                            absl::Span<const int32_t> tokens,
                                            const ScoreResult& result,
                                            const Tokenizer& tokenizer);

/// With log-probabilities when they were asked for.
v1::GenerateResponse TokenResponse(const TokenEvent& event, bool with_logprobs,
                                   const Tokenizer& tokenizer);

v1::GenerateResponse FinishResponse(const FinishEvent& event);

/// `tokens` are those of the request.
v1::ScoreResponse MakeScoreResponse(absl::Span<const int32_t> tokens,
                                    const ScoreResult& result,
                                    const Tokenizer& tokenizer);

}  // namespace mlad
