#include "daemon/flags.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace mlad {
namespace {

CLI::Validator OneOrMore() {
  return {[](const std::string& text) -> std::string {
            if (!text.empty() && text[0] != '-' && text != "0") return "";
            return absl::StrCat("'", text, "' is too small; use 1 or more");
          },
          ""};
}

CLI::Validator OctalMode() {
  return {[](const std::string& text) -> std::string {
            const bool is_octal =
                !text.empty() && text.size() <= 4 &&
                text.find_first_not_of("01234567") == std::string::npos;
            if (is_octal) return "";
            return absl::StrCat("'", text, "' is no mode; use 0660 or 0600");
          },
          ""};
}

void AddSecurityOptions(CLI::App& serve, ServeOptions& options) {
  serve.add_option("--tls-certificate", options.tls_certificate,
                   "PEM file with the daemon's certificate and those between "
                   "it and its root: TLS on all TCP addresses");
  serve.add_option("--tls-key", options.tls_key,
                   "PEM file with the certificate's key");
  serve.add_option("--tls-client-ca", options.tls_client_ca,
                   "PEM file with roots: clients must show a certificate that "
                   "one of them has signed");
  serve.add_option("--access", options.access,
                   "TOML file that says who may call: tokens, certificates, "
                   "users (default: whoever can connect)");
  serve.add_flag("--insecure", options.insecure,
                 "Listen beyond this machine without TLS or without knowing "
                 "who calls");
  serve
      .add_option("--socket-mode", options.socket_mode,
                  "Permissions of unix sockets, octal")
      ->check(OctalMode())
      ->capture_default_str();
  AddConnectionsOption(serve, options.max_connections);
  serve
      .add_option("--max-request-mib", options.max_request_mib,
                  "Size of a request in MiB; larger ones are refused")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

}  // namespace

void AddConnectionsOption(CLI::App& command, int64_t& max_connections) {
  command
      .add_option("--max-connections", max_connections,
                  "Open connections; more are closed at once")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
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

void AddServeOptions(CLI::App& serve, ServeOptions& options) {
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
      .add_option("--client-share", options.client_share,
                  "Share of all places to run and to wait that one client may "
                  "take, over 0, to 1")
      ->check(CLI::Range(0.001, 1.0))
      ->capture_default_str();
  serve
      .add_option("--max-tokens", options.max_tokens,
                  "Longest answer in tokens; 0: as long as the context lasts")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  serve
      .add_option("--max-token-gap-ms", options.max_token_gap_ms,
                  "Longest time between two tokens of a running answer while "
                  "others' prompts are read, which are cut into pieces for "
                  "it; 0: no bound, whole chunks")
      ->check(CLI::Range(0.0, 3600000.0))
      ->capture_default_str();
  serve
      .add_option("--reader-timeout-s", options.reader_timeout_s,
                  "Seconds that a client may read nothing of an answer that "
                  "waits for it; then its request ends; 0: no limit")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  serve
      .add_option("--drain-s", options.drain_s,
                  "Seconds that running requests get when the daemon stops")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  serve
      .add_option("--keep-memory", options.keep_memory,
                  "Under a service manager that stores descriptors: weights "
                  "and cache outlive the process, so that a restart does not "
                  "load")
      ->capture_default_str();
  serve
      .add_option("--log-level", options.log_level,
                  "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  serve.add_option("--session-dir", options.session_dir,
                   "Folder for 'mla-ctl session'; none: no sessions");
  serve.add_option("--metrics", options.metrics,
                   "HOST:PORT where Prometheus may ask for /metrics, in the "
                   "clear (default: nowhere)");
  AddSecurityOptions(serve, options);
}

}  // namespace mlad
