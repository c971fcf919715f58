#include "base/status.h"
#include "ctl/commands.h"
#include "ctl/exit_status.h"
#include "ctl/generation_options.h"
#include "ctl/input.h"
#include "ctl/sample_streams.h"
#include "ctl/session.h"
#include "ctl/stream_printer.h"

namespace mlad {
namespace {

absl::StatusOr<v1::GenerateRequest> MakeRequest(const CtlOptions& options) {
  v1::GenerateRequest request;
  MLAD_RETURN_IF_ERROR(FillInput(options.input, request));
  MLAD_ASSIGN_OR_RETURN(*request.mutable_options(),
                        MakeGenerationOptions(options.sampling));
  return request;
}

}  // namespace

int RunGenerate(const CtlOptions& options) {
  const auto request = MakeRequest(options);
  if (!request.ok()) return ReportStatus(request.status());
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        if (options.samples > 1) {
          return GenerateSamples(client, *request, options.samples,
                                 options.json, call);
        }
        StreamPrinter printer(options.json);
        const absl::Status status = client.Generate(
            *request,
            [&](const v1::GenerateResponse& message) {
              printer.Show(message);
              return true;
            },
            call);
        if (status.ok() || !printer.text().empty()) printer.Finish();
        return status;
      });
}

}  // namespace mlad
