#include "daemon/command_line.h"

#include <iostream>
#include <string_view>

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"

#include "daemon/config_file.h"
#include "daemon/version.h"

namespace mlad {
namespace {

constexpr char kFooter[] = R"(Examples:
  mlad serve                                     the demo model on 127.0.0.1:6523
  mlad serve --model DeepSeek-V3-Q4_K_M-00001-of-00009.gguf --kv q8_kv --context 65536
  mlad serve --config /etc/mlad/mlad.toml --listen unix:/run/mlad/mlad.sock
  mlad plan --model F.gguf --topology "pack:2 [numa] core:96 pu:1" --json
Ask it something:
  mla-ctl generate "In the beginning"

Environment:
  MLAD_ISA   scalar, avx2 or avx512: kernels to use instead of the best ones

Exit status: 0 done, 1 failed (one sentence on stderr), 2 wrong usage.)";

CLI::Validator OneOrMore() {
  return {[](const std::string& text) -> std::string {
            if (!text.empty() && text[0] != '-' && text != "0") return "";
            return absl::StrCat("'", text, "' is too small; use 1 or more");
          },
          ""};
}

void AddModelOptions(CLI::App& command, ModelOptions& options) {
  command.add_option("--model", options.model,
                     "GGUF file, or the first file of a split model "
                     "(default: the demo model)");
  command
      .add_option("--nodes", options.nodes,
                  "NUMA nodes to use, 0 for all; more than the machine has "
                  "are simulated")
      ->capture_default_str();
  command
      .add_option("--threads-per-node", options.threads_per_node,
                  "Workers per node, 0 for one per core")
      ->capture_default_str();
  command.add_option("--cpus", options.cpus,
                     "CPUs that may be used, as 0-3,8 (default: all that the "
                     "process may)");
  command
      .add_option("--kv", options.kv,
                  "Type of the latent cache: f16, bf16, q8_0, q8_kv or q6_0")
      ->capture_default_str();
  command
      .add_option("--context", options.context,
                  "Longest sequence in tokens (default: as trained, 32768 at "
                  "most)")
      ->check(OneOrMore());
  command
      .add_option("--cache-tokens", options.cache_tokens,
                  "Room in the cache for all sequences together (default: "
                  "--context, or 16384 if that is not given)")
      ->check(OneOrMore());
  command
      .add_option("--moe-placement", options.moe_placement,
                  "Experts on the nodes: sliced (rows of each on all nodes), "
                  "whole (each on one node), or auto")
      ->check(CLI::IsMember({"sliced", "whole", "auto"}))
      ->capture_default_str();
  command
      .add_option("--replicate-experts", options.replicate_experts,
                  "With whole experts: room on every node for that many "
                  "replicas per layer of other nodes' most chosen experts")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

void AddTopologyOption(CLI::App& command, ModelOptions& options) {
  command.add_option("--topology", options.topology,
                     "Machine to plan for: an hwloc synthetic string such as "
                     "\"pack:2 [numa] core:96 pu:1\", or an .xml file "
                     "(default: this machine)");
}

void AddServeOptions(CLI::App& serve, ServeOptions& options,
                     std::string& config) {
  AddModelOptions(serve, options.model);
  serve
      .add_option("--listen", options.listen,
                  "HOST:PORT, :PORT for every interface, or unix:/PATH; may "
                  "be repeated; port 0 chooses one")
      ->capture_default_str();
  serve
      .add_option("--max-sequences", options.max_sequences,
                  "Requests computed at once; more wait")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  serve
      .add_option("--max-queued", options.max_queued,
                  "Requests that may wait; more are refused")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  serve
      .add_option("--drain-s", options.drain_s,
                  "Seconds that running requests get when the daemon stops")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  serve
      .add_option("--log-level", options.log_level,
                  "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  serve.add_option("--config", config,
                   "TOML file with these flags as keys: threads_per_node = 8");
}

int Complain(std::string_view sentence, std::string_view command) {
  std::cerr << "mlad: " << sentence << "\nTry 'mlad " << command
            << (command.empty() ? "" : " ") << "--help'.\n";
  return kUsageError;
}

}  // namespace

Command ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app(
      "Serves DeepSeek-style models on the NUMA nodes of a CPU server.",
      "mlad");
  app.set_version_flag("--version", absl::StrCat("mlad ", kVersion));
  app.require_subcommand(1);
  app.footer(kFooter);

  ServeOptions serve_options;
  std::string config;
  CLI::App* serve = app.add_subcommand("serve", "Load a model and serve it");
  AddServeOptions(*serve, serve_options, config);

  PlanOptions plan_options;
  CLI::App* plan = app.add_subcommand(
      "plan", "Show what each node would hold, without loading weights");
  AddModelOptions(*plan, plan_options.model);
  AddTopologyOption(*plan, plan_options.model);
  plan->add_flag("--json", plan_options.json, "Print JSON");

  DoctorOptions doctor_options;
  CLI::App* doctor =
      app.add_subcommand("doctor", "Check this machine and say what to change");
  AddModelOptions(*doctor, doctor_options.model);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for) {
    return app.exit(asked_for);
  } catch (const CLI::RequiredError& error) {
    const std::vector<std::string> unknown = app.remaining();
    return Complain(
        app.get_subcommands().empty() && !unknown.empty()
            ? absl::StrCat("there is no command '", unknown.front(), "'")
            : error.what(),
        "");
  } catch (const CLI::Error& error) {
    const auto chosen = app.get_subcommands();
    return Complain(error.what(),
                    chosen.empty() ? "" : chosen.front()->get_name());
  }
  if (plan->parsed()) return plan_options;
  if (doctor->parsed()) return doctor_options;
  if (!config.empty()) {
    const absl::Status status = ApplyConfigFile(config, *serve);
    if (!status.ok()) {
      return Complain(std::string(status.message()), "serve");
    }
  }
  return serve_options;
}

}  // namespace mlad
