#include "bench/serve_command.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status.h"
#include "bench/serve_report.h"
#include "bench/serve_run.h"

namespace mlad {
namespace {

struct ServeOptions {
  std::string address = "127.0.0.1:6523";
  std::vector<double> rates = {1};
  bool at_once = false;
  int64_t requests = 100;
  std::string prompt_tokens = kConversationPrompts;
  std::string output_tokens = kConversationAnswers;
  std::string trace;
  int64_t most_tokens = 0;
  int64_t shared_prefix = 0;
  uint64_t seed = 1;
  double timeout_s = 0;
  bool json = false;
  bool markdown = false;
  std::string plot;
  std::string times;
};

void AddOptions(CLI::App& app, ServeOptions& options) {
  app.add_option("--address,-a", options.address, "HOST:PORT or unix:/PATH")
      ->envname("MLAD_ADDRESS")
      ->capture_default_str();
  auto* rate =
      app.add_option(
             "--rate", options.rates,
             "Requests per second, arriving at random (Poisson): 1,2,4; "
             "each is a run of its own")
          ->delimiter(',')
          ->check(CLI::Range(0.001, 1e5))
          ->capture_default_str();
  app.add_flag("--at-once", options.at_once, "All requests at the same time")
      ->excludes(rate);
  app.add_option("--requests", options.requests, "Requests of each run")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  auto* prompts = app.add_option(
      "--prompt-tokens", options.prompt_tokens,
      "Lengths of the prompts: a number or lognormal:MEDIAN:SIGMA:MOST");
  prompts->capture_default_str();
  auto* answers = app.add_option("--output-tokens", options.output_tokens,
                                 "Lengths of the answers, the same");
  answers->capture_default_str();
  app.add_option("--trace", options.trace,
                 "Draw pairs of lengths from the columns ContextTokens and "
                 "GeneratedTokens of this CSV file instead")
      ->excludes(prompts)
      ->excludes(answers);
  app.add_option(
         "--most-tokens", options.most_tokens,
         "Longer prompts and answers are cut to this together (default: "
         "the daemon's context)")
      ->check(CLI::Range(2, 1 << 24));
  app.add_option("--shared-prefix", options.shared_prefix,
                 "Tokens with which all prompts begin, such as a system prompt")
      ->check(CLI::Range(0, 1 << 24));
  app.add_option("--seed", options.seed, "Of arrivals, lengths and prompts")
      ->capture_default_str();
  app.add_option("--timeout", options.timeout_s,
                 "Deadline of each request, in seconds")
      ->check(CLI::Range(0.0, 1e6));
  auto* json = app.add_flag("--json", options.json, "Print JSON");
  app.add_flag("--markdown", options.markdown, "Print a Markdown table")
      ->excludes(json);
  app.add_option("--plot", options.plot,
                 "Also draw times against rates, as SVG, to this file");
  app.add_option("--times", options.times,
                 "Also write when each token came, a line of JSON a request");
  app.footer(
      "An open loop: requests are sent at their time even if the daemon falls "
      "behind.\nPrompts are random tokens, answers go on to their last token. "
      "The default lengths are\nfitted to the conversations of Azure's trace "
      "of "
      "November 2023.\n\nExample:\n  mla-bench serve --rate 0.5,1,2 --requests "
      "200 --shared-prefix 500 --plot load.svg");
}

void ShowProgress(double rate, int64_t done, int64_t all) {
  if (isatty(2) != 1) return;
  std::cerr << absl::StreamFormat("\r\x1b[K%g requests/s: %d of %d answered",
                                  rate, done, all)
            << (done == all ? "\r\x1b[K" : "") << std::flush;
}

absl::StatusOr<LoadPlan> MakePlan(const ServeOptions& options,
                                  int64_t context_tokens) {
  LoadPlan plan;
  plan.requests = options.requests;
  plan.seed = options.seed;
  plan.most_tokens =
      options.most_tokens > 0 ? options.most_tokens : context_tokens;
  MLAD_ASSIGN_OR_RETURN(plan.prompts,
                        LengthDistribution::Parse(options.prompt_tokens));
  MLAD_ASSIGN_OR_RETURN(plan.answers,
                        LengthDistribution::Parse(options.output_tokens));
  if (options.trace.empty()) return plan;
  std::ifstream in(options.trace, std::ios::binary);
  if (!in) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read the trace '", options.trace, "'"));
  }
  MLAD_ASSIGN_OR_RETURN(
      plan.trace,
      ParseTrace(std::string(std::istreambuf_iterator<char>(in), {})));
  return plan;
}

std::string Workload(const ServeOptions& options) {
  std::string text = options.trace.empty()
                         ? absl::StrCat("prompts ", options.prompt_tokens,
                                        ", answers ", options.output_tokens)
                         : absl::StrCat("lengths of ", options.trace);
  if (options.shared_prefix > 0) {
    absl::StrAppend(&text, ", the first ", options.shared_prefix,
                    " tokens of all prompts the same");
  }
  return absl::StrCat(text, "; seed ", options.seed);
}

/// Opens `path` unless it is empty.
absl::Status Open(const std::string& path, std::ofstream& file) {
  if (path.empty()) return absl::OkStatus();
  file.open(path);
  if (file) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot write to '", path, "'"));
}

void Print(const ServeOptions& options, const ServeReport& report) {
  if (options.json) {
    std::cout << ServeReportAsJson(report).dump(
                     2, ' ', false, nlohmann::json::error_handler_t::replace)
              << "\n";
  } else {
    std::cout << (options.markdown ? ServeReportAsMarkdown(report)
                                   : ServeReportAsText(report));
  }
}

absl::Status Serve(const ServeOptions& options) {
  std::ofstream plot, times;
  MLAD_RETURN_IF_ERROR(Open(options.plot, plot));
  MLAD_RETURN_IF_ERROR(Open(options.times, times));
  MLAD_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                        Client::Connect(options.address));
  MLAD_ASSIGN_OR_RETURN(const v1::ModelInfo model, client->GetModelInfo());
  MLAD_ASSIGN_OR_RETURN(LoadPlan plan,
                        MakePlan(options, model.context_tokens()));
  ServeReport report{model.name(), options.address, Workload(options), {}};
  const std::vector<double> rates =
      options.at_once ? std::vector<double>{0} : options.rates;
  for (const double rate : rates) {
    plan.rate = rate;
    ServeTarget target;
    target.client = client.get();
    target.vocab_size = model.vocab_size();
    target.shared_prefix_tokens = options.shared_prefix;
    target.seed = plan.seed;
    if (options.timeout_s > 0) {
      target.timeout = absl::Seconds(options.timeout_s);
    }
    target.progress = [&](int64_t done) {
      ShowProgress(rate, done, plan.requests);
    };
    const LoadRun run = RunLoad(target, PlanRequests(plan));
    report.rows.push_back(ServeRow::Of(rate, run));
    times << OutcomesAsJsonLines(run);
    ++plan.seed;  // another run's prompts are not in the cache
  }
  Print(options, report);
  plot << ServeReportAsSvg(report) << std::flush;
  if ((plot.is_open() && !plot) || (times.is_open() && !times.flush())) {
    return absl::ResourceExhaustedError("writing a file failed");
  }
  return absl::OkStatus();
}

}  // namespace

int RunServeCommand(int argc, const char* const* argv) {
  ServeOptions options;
  CLI::App app("Loads a running daemon and measures its answers.",
               "mla-bench serve");
  AddOptions(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const absl::Status status = Serve(options);
  if (status.ok()) return 0;
  std::cerr << "mla-bench: " << status.message() << "\n";
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace mlad
