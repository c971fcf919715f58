// Sends a planned load to a daemon and takes the times.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "bench/serve_load.h"
#include "rpc/client.h"

namespace mlad {

struct RequestOutcome {
  absl::Status status;
  RequestLengths planned;
  int64_t cached_tokens = 0;
  double sent_s = 0;             // from the start
  std::vector<double> tokens_s;  // arrival of each token
  double finished_s = 0;
};

struct LoadRun {
  absl::Time start;
  std::vector<RequestOutcome> outcomes;  // in the order of the plan
};

struct ServeTarget {
  Client* client = nullptr;
  int64_t vocab_size = 0;
  int64_t shared_prefix_tokens = 0;  // with which all prompts begin
  uint64_t seed = 1;                 // of the prompts' tokens
  absl::Duration timeout = absl::InfiniteDuration();  // of each request
  std::function<void(int64_t done)> progress;         // any thread
};

/// Sends each request at its time, whatever has become of those before it (an
/// open loop: a daemon that falls behind does not slow its clients down). The
/// answers go on to their last token. One thread for each request.
LoadRun RunLoad(const ServeTarget& target,
                const std::vector<PlannedRequest>& plan);

}  // namespace mlad
