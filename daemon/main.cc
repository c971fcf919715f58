#include <variant>

#include "daemon/command_line.h"
#include "daemon/commands.h"

namespace mlad {
namespace {

struct RunCommand {
  int operator()(int exit_status) const { return exit_status; }
  int operator()(const ServeOptions& options) const {
    return RunServe(options);
  }
  int operator()(const PlanOptions& options) const { return RunPlan(options); }
  int operator()(const DoctorOptions& options) const {
    return RunDoctor(options);
  }
  int operator()(const CheckConfigOptions& options) const {
    return RunCheckConfig(options);
  }
};

}  // namespace
}  // namespace mlad

int main(int argc, char** argv) {
  return std::visit(mlad::RunCommand{}, mlad::ParseCommandLine(argc, argv));
}
