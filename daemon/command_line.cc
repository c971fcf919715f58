#include "daemon/command_line.h"

#include <iostream>
#include <string_view>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"

#include "daemon/config_file.h"
#include "daemon/flags.h"
#include "daemon/version.h"

namespace mlad {
namespace {

constexpr char kFooter[] = R"(Examples:
  mlad serve                                     the demo model on 127.0.0.1:6523
  mlad serve --model DeepSeek-V3-Q4_K_M-00001-of-00009.gguf --kv q8_kv --context 65536
  mlad serve --config /etc/mlad/mlad.toml --listen unix:/run/mlad/mlad.sock
  mlad check-config /etc/mlad/mlad.toml
  mlad plan --model F.gguf --topology "pack:2 [numa] core:96 pu:1" --json
Ask it something:
  mla-ctl generate "In the beginning"

Environment:
  MLAD_ISA     scalar, avx2 or avx512: kernels to use instead of the best ones
  MLAD_<FLAG>  a flag that is not given: MLAD_THREADS_PER_NODE=8; where it may be
               repeated, values have commas between them
What is given on the command line takes precedence over the environment, and
that over --config.

Exit status: 0 done, 1 failed (one sentence on stderr), 2 wrong usage.)";

int Complain(std::string_view sentence, std::string_view command) {
  std::cerr << "mlad: " << sentence << "\nTry 'mlad " << command
            << (command.empty() ? "" : " ") << "--help'.\n";
  return kUsageError;
}

/// All commands, and what their flags set.
class Parser {
 public:
  Parser()
      : app_("Serves DeepSeek-style models on the NUMA nodes of a CPU server.",
             "mlad") {
    app_.set_version_flag("--version", absl::StrCat("mlad ", kVersion));
    app_.require_subcommand(1);
    app_.footer(kFooter);
    AddServeOptions(*serve_, serve_options_);
    AddConfigOption(*serve_, "--config");
    AddModelOptions(*plan_, plan_options_.model);
    AddTopologyOption(*plan_, plan_options_.model);
    plan_->add_flag("--json", plan_options_.json, "Print JSON");
    AddConfigOption(*plan_, "--config");
    AddModelOptions(*doctor_, doctor_options_.model);
    AddConnectionsOption(*doctor_, doctor_options_.max_connections);
    doctor_->add_flag("--json", doctor_options_.json, "Print JSON");
    AddConfigOption(*doctor_, "--config");
    AddServeOptions(*check_, check_options_.serve);
    check_->add_flag("--json", check_options_.json, "Print JSON");
    AddConfigOption(*check_, "file,--config");
    AddMakeTokenOptions();
  }

  Command Parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& asked_for) {
      return app_.exit(asked_for);
    } catch (const CLI::RequiredError& error) {
      const std::vector<std::string> unknown = app_.remaining();
      return Complain(
          app_.get_subcommands().empty() && !unknown.empty()
              ? absl::StrCat("there is no command '", unknown.front(), "'")
              : error.what(),
          "");
    } catch (const CLI::Error& error) {
      const auto chosen = app_.get_subcommands();
      return Complain(error.what(),
                      chosen.empty() ? "" : chosen.front()->get_name());
    }
    if (make_token_->parsed()) return make_token_options_;
    CLI::App* const command = app_.get_subcommands().front();
    SettingsReader reader(*command, *serve_);
    absl::Status status = reader.ApplyEnvironment();
    if (status.ok() && !config_.empty()) status = reader.ApplyFile(config_);
    if (!status.ok()) {
      return Complain(std::string(status.message()), command->get_name());
    }
    if (plan_->parsed()) return plan_options_;
    if (doctor_->parsed()) return doctor_options_;
    if (serve_->parsed()) return serve_options_;
    check_options_.config = config_;
    check_options_.settings = reader.Describe();
    return check_options_;
  }

 private:
  void AddConfigOption(CLI::App& command, const std::string& name) {
    command.add_option(
        name, config_,
        "TOML file with the flags of serve as keys: threads_per_node = 8");
  }

  void AddMakeTokenOptions() {
    make_token_
        ->add_option("name", make_token_options_.name,
                     "Whose token it is, for logs")
        ->required()
        ->check([](const std::string& name) {
          // It is written between quotes.
          return name.find_first_of("\"\\\n") == std::string::npos
                     ? ""
                     : "a name has no quotes, backslashes and line ends";
        });
    make_token_
        ->add_option("--role", make_token_options_.roles,
                     "infer or admin; may be repeated")
        ->check(CLI::IsMember({"infer", "admin"}))
        ->capture_default_str();
  }

  CLI::App app_;
  std::string config_;
  ServeOptions serve_options_;
  PlanOptions plan_options_;
  DoctorOptions doctor_options_;
  CheckConfigOptions check_options_;
  MakeTokenOptions make_token_options_;
  CLI::App* serve_ = app_.add_subcommand("serve", "Load a model and serve it");
  CLI::App* plan_ = app_.add_subcommand(
      "plan", "Show what each node would hold, without loading weights");
  CLI::App* doctor_ = app_.add_subcommand(
      "doctor", "Check this machine and say what to change");
  CLI::App* check_ = app_.add_subcommand(
      "check-config",
      "Check what serve would do with the same flags and configuration, and "
      "show every setting");
  CLI::App* make_token_ = app_.add_subcommand(
      "make-token",
      "Print a client's entry for the access file on stdout and its new token, "
      "which is not kept, on stderr");
};

}  // namespace

Command ParseCommandLine(int argc, const char* const* argv) {
  return Parser().Parse(argc, argv);
}

}  // namespace mlad
