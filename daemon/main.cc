#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "daemon/command_line.h"
#include "daemon/commands.h"

namespace mlad {
namespace {

struct RunCommand {
  int argc;
  char** argv;

  int operator()(int exit_status) const { return exit_status; }
  int operator()(const ServeOptions& options) const {
    return RunServe(options, [this]() -> absl::StatusOr<ServeOptions> {
      const Command again = ParseCommandLine(argc, argv);
      if (const auto* read = std::get_if<ServeOptions>(&again)) return *read;
      return absl::InvalidArgumentError("it has a mistake, named above");
    });
  }
  int operator()(const PlanOptions& options) const { return RunPlan(options); }
  int operator()(const DoctorOptions& options) const {
    return RunDoctor(options);
  }
  int operator()(const CheckConfigOptions& options) const {
    return RunCheckConfig(options);
  }
  int operator()(const MakeTokenOptions& options) const {
    return RunMakeToken(options);
  }
};

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  return std::visit(mlad::RunCommand{argc, argv},
                    mlad::ParseCommandLine(argc, argv));
}
