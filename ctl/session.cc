#include "ctl/session.h"

#include "base/status.h"
#include "ctl/exit_status.h"
#include "ctl/interrupt.h"

namespace mlad {

absl::Status Interruptible(
    const ConnectionOptions& options,
    const std::function<absl::Status(const CallOptions&)>& work) {
  CallCanceller canceller;
  const InterruptGuard guard(canceller);
  CallOptions call;
  if (options.timeout_s > 0) call.timeout = absl::Seconds(options.timeout_s);
  call.canceller = &canceller;
  return work(call);
}

int WithClient(
    const ConnectionOptions& options,
    const std::function<absl::Status(Client&, const CallOptions&)>& work) {
  return ReportStatus(
      Interruptible(options, [&](const CallOptions& call) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                              Client::Connect(options.address));
        return work(*client, call);
      }));
}

}  // namespace mlad
