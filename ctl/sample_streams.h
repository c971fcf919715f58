// Several answers to one prompt.
#pragma once

#include "absl/status/status.h"
#include "mlad/v1/inference.pb.h"

#include "rpc/client.h"

namespace mlad {

/// Sends `request` `samples` times, at least once. A seed that it has counts up
/// from sample to sample, so that sample i is the answer to `request` alone
/// with seed + i. The others begin when the first has read the prompt, and find
/// it in the daemon's cache. When all have ended the answers are printed in
/// order: a JSON object each, or the text below a heading. Errors:
/// kInvalidArgument for a seed that cannot count up that far; else that of the
/// first sample that failed, when those that did not are printed.
absl::Status GenerateSamples(Client& client, const v1::GenerateRequest& request,
                             int samples, bool json, const CallOptions& call);

}  // namespace mlad
