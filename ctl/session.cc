#include "ctl/session.h"

#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "ctl/exit_status.h"
#include "ctl/interrupt.h"

namespace mlad {
namespace {

absl::StatusOr<std::string> ReadToken(const ConnectionOptions& options) {
  std::string token;
  if (options.token_file.empty()) {
    const char* const value = std::getenv("MLAD_TOKEN");
    if (value != nullptr) token = value;
    return token;
  }
  std::ifstream file(options.token_file);
  if (!(file >> token)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "there is no token in '", options.token_file, "'; check the path"));
  }
  return token;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Connect(
    const ConnectionOptions& options) {
  ConnectOptions connect;
  connect.server_name = options.server_name;
  MLAD_ASSIGN_OR_RETURN(connect.token, ReadToken(options));
  if (options.tls || !options.ca.empty() || !options.certificate.empty() ||
      !options.key.empty() || !options.server_name.empty()) {
    connect.tls = {options.ca, options.certificate, options.key};
  }
  return Client::Connect(options.address, connect);
}

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
                              Connect(options));
        return work(*client, call);
      }));
}

}  // namespace mlad
