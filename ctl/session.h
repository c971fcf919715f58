// A connection for the length of one command.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "ctl/options.h"
#include "rpc/client.h"

namespace mlad {

/// Errors: those of Client::Connect; kInvalidArgument for a file without a
/// token.
absl::StatusOr<std::unique_ptr<Client>> Connect(
    const ConnectionOptions& options);

/// Calls `work` with the options of one call, which Ctrl-C cancels.
absl::Status Interruptible(
    const ConnectionOptions& options,
    const std::function<absl::Status(const CallOptions&)>& work);

/// Connects, calls `work` with the client and the options of its calls, reports
/// what went wrong. Ctrl-C cancels the calls. Returns the exit status.
int WithClient(
    const ConnectionOptions& options,
    const std::function<absl::Status(Client&, const CallOptions&)>& work);

}  // namespace mlad
