#include "ctl/command_line.h"

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "ctl/commands.h"
#include "ctl/exit_status.h"

namespace mlad {
namespace {

constexpr char kFooter[] = R"text(Examples:
  mla-ctl generate "In the beginning" --temperature 0.7 --top-p 0.9 -n 100
  mla-ctl generate --tokens 0,686,330 --greedy -n 32 --json
  mla-ctl chat "What is a whale?"
  mla-ctl chat "Describe a whale." --json-schema animal.schema.json
  mla-ctl score --file story.txt
  mla-ctl stats --watch 1
  mla-ctl top
  mla-ctl session save manual --file manual.txt
  eval "$(mla-ctl completion bash)"

Environment:
  MLAD_ADDRESS   where the daemon listens, unless --address is given
  MLAD_TOKEN     token to show, unless --token-file is given
  NO_COLOR       no colours

Exit status: 0 done, 1 failed, 2 usage or request refused, 3 daemon not
reachable, loading or draining, 4 queue or cache full, 5 timeout,
130 interrupted.)text";

constexpr char kSessionFooter[] = R"text(Examples:
  mla-ctl session save manual --file manual.txt
  mla-ctl session save talk --messages talk.json
  mla-ctl session list
  mla-ctl session restore manual
  mla-ctl session drop manual

'save' keeps what the daemon's cache has of the text: what was read or generated
shortly before.)text";

int Complain(const std::string& sentence) {
  std::cerr << "mla-ctl: " << sentence << "\nTry 'mla-ctl --help'.\n";
  return kExitUsage;
}

/// CLI11 reads an empty text as the number 0.
CLI::Validator NotEmpty() {
  return {[](const std::string& text) -> std::string {
            return text.empty() ? "there is no number" : "";
          },
          ""};
}

/// CLI11's own spells out the largest double, and lets -1 pass as a large
/// unsigned number.
CLI::Validator NotNegative() {
  return {[](const std::string& text) -> std::string {
            if (text.empty() || text[0] != '-') return "";
            return absl::StrCat(text, " is negative; use 0 or more");
          },
          ""};
}

void AddInput(CLI::App& command, InputOptions& input, bool tokens) {
  command.add_option("text", input.words, "Text (default: standard input)");
  command.add_option("--file,-f", input.file, "Read the text from a file");
  command.add_flag("--no-bos", input.no_bos,
                   "Do not put the model's begin token first");
  command.add_flag("--no-special", input.no_special,
                   "Take the spelling of special tokens as plain text");
  if (!tokens) return;
  command.add_option("--tokens", input.tokens, "Token ids instead: 1,2,3")
      ->delimiter(',')
      ->check(NotEmpty());
}

void AddSampling(CLI::App& command, SamplingOptions& s) {
  command.add_flag("--greedy", s.greedy, "Always the most probable token");
  command.add_option("--temperature", s.temperature, "0 to 100 (default 0.7)");
  command.add_option("--top-k", s.top_k, "0: no limit (default)");
  command.add_option("--top-p", s.top_p, "Over 0, to 1 (default 0.95)");
  command.add_option("--min-p", s.min_p, "0 to below 1 (default 0)");
  command.add_option("--repetition-penalty", s.repetition_penalty,
                     "Over 0, to 10 (default 1)");
  command.add_option("--frequency-penalty", s.frequency_penalty, "-2 to 2");
  command.add_option("--presence-penalty", s.presence_penalty, "-2 to 2");
  command.add_option("--seed", s.seed, "Repeats an answer")
      ->check(NotNegative());
  command.add_option("-n,--max-tokens", s.max_tokens,
                     "Tokens to generate at most");
  command
      .add_option("--stop", s.stop, "Text before which to end; may be repeated")
      ->allow_extra_args(false);
  command
      .add_option("--stop-tokens", s.stop_tokens,
                  "Ids after which to end: 1,2,3")
      ->delimiter(',')
      ->check(NotEmpty());
  command.add_flag("--ignore-eos", s.ignore_eos,
                   "Go on after the model's end token");
  command.add_flag("--exact-reuse", s.exact_reuse,
                   "Take nothing from the cache that could change a bit: not "
                   "what was generated in earlier turns");
  command.add_option("--priority", s.priority,
                     "-10 to 10: who begins first (default 0)");
  command.add_option("--logprobs", s.logprobs,
                     "With --json: log-probabilities and this many "
                     "alternatives per token");
  command.add_option("--prompt-logprobs", s.prompt_logprobs,
                     "With --json: the same of the prompt's tokens");
  command
      .add_option("--logit-bias", s.logit_bias,
                  "Added to tokens' logits: ID=BIAS,ID=BIAS; -100 to 100")
      ->delimiter(',');
  command.add_flag("--echo", s.echo, "Show the prompt, too");
}

void AddFormat(CLI::App& command, SamplingOptions& s) {
  command.add_flag("--json-mode", s.json_mode, "The answer is a JSON object");
  command.add_option("--json-schema", s.json_schema_file,
                     "The answer is JSON that the schema in this file allows");
  command.add_option("--grammar", s.grammar_file,
                     "The answer is a text of the GBNF grammar in this file");
  command.add_flag_function(
      "--split-reasoning,!--no-split-reasoning",
      [&s](int64_t count) { s.split_reasoning = count > 0; },
      "Tell the thought (<think>) from the answer, or do not");
}

void AddSecurity(CLI::App& app, ConnectionOptions& connection) {
  app.add_flag("--tls", connection.tls,
               "Connect with TLS; so do the four flags that follow");
  app.add_option("--ca", connection.ca,
                 "PEM file with the roots to trust (default: the system's)");
  app.add_option("--cert", connection.certificate,
                 "PEM file with a certificate to show");
  app.add_option("--key", connection.key, "PEM file with its key");
  app.add_option("--server-name", connection.server_name,
                 "Name in the daemon's certificate (default: the host's)");
  app.add_option("--token-file", connection.token_file,
                 "File with the token to show");
}

class ParserBuilder {
 public:
  ParserBuilder(CLI::App& app, CtlOptions& options,
                std::vector<CtlCommand>& commands)
      : app_(app), options_(options), commands_(commands) {}

  void AddTextCommands() {
    CLI::App* generate =
        Add("generate", "Continue a text, streaming", RunGenerate);
    AddInput(*generate, options_.input, /*tokens=*/true);
    AddSampling(*generate, options_.sampling);
    generate
        ->add_option("--samples", options_.samples,
                     "Answers to the same prompt, at once; their seeds count "
                     "up from --seed")
        ->check(CLI::Range(1, 64));
    AddFormat(*generate, options_.sampling);

    CLI::App* chat = Add("chat", "Ask, or converse on a terminal", RunChat);
    AddInput(*chat, options_.input, /*tokens=*/false);
    chat->add_option("--system", options_.system, "System message");
    AddSampling(*chat, options_.sampling);
    AddFormat(*chat, options_.sampling);

    CLI::App* tokenize = Add("tokenize", "Text to token ids", RunTokenize);
    AddInput(*tokenize, options_.input, /*tokens=*/false);
    tokenize->add_flag("--pieces", options_.pieces,
                       "Show each token's text, too");

    CLI::App* detokenize =
        Add("detokenize", "Token ids to text", RunDetokenize);
    detokenize->add_option("tokens", options_.input.tokens, "Ids: 1,2,3")
        ->delimiter(',')
        ->check(NotEmpty())
        ->required();
    detokenize->add_flag("--special", options_.with_special,
                         "Spell out control tokens");

    CLI::App* score =
        Add("score", "Perplexity and log-probabilities of a text", RunScore);
    AddInput(*score, options_.input, /*tokens=*/true);
    score->add_flag("--per-token", options_.per_token, "A line for each token");
    score->add_option("--top", options_.top,
                      "With --json: alternatives per token, 0 to 20");
  }

  void AddAdminCommands() {
    CLI::App* stats = Add("stats", "What each node holds and does", RunStats);
    stats
        ->add_option("--watch", options_.watch_s,
                     "Again and again, every so many seconds")
        ->check(CLI::Range(0.1, 3600.0));
    CLI::App* top =
        app_.add_subcommand("top", "A live view of the nodes; q quits");
    top->add_option("--interval", options_.top_s, "Seconds between two looks")
        ->check(CLI::Range(0.1, 3600.0));
    top->fallthrough();
    commands_.push_back({top, RunTop});
    Add("topology", "Nodes, cores, heads and the model", RunTopology);
    Add("experts", "How often experts are chosen, and where replicas are",
        RunExperts);
    AddSession();
    Add("health", "Exit status 0 when the daemon serves", RunHealth);
    CLI::App* completion = app_.add_subcommand(
        "completion", "Print a completion script for a shell");
    completion->add_option("shell", options_.shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    commands_.push_back({completion, RunCompletion});
  }

 private:
  void AddSession() {
    CLI::App* session =
        Add("session", "Keep conversations on disk, and bring them back",
            RunSession);
    session->add_option("action", options_.action, "save, list, restore, drop")
        ->required()
        ->check(CLI::IsMember({"save", "list", "restore", "drop"}));
    session->add_option("name", options_.session, "The session's");
    AddInput(*session, options_.input, /*tokens=*/true);
    session->add_option("--messages", options_.messages_file,
                        "Save a conversation: a JSON file with a list of "
                        "{\"role\": ..., \"content\": ...}");
    session->footer(kSessionFooter);
  }

  CLI::App* Add(const std::string& name, const std::string& description,
                CommandFunction run) {
    CLI::App* command = app_.add_subcommand(name, description);
    command->add_flag("--json", options_.json, "Print JSON");
    command->fallthrough();
    commands_.push_back({command, run});
    return command;
  }

  CLI::App& app_;
  CtlOptions& options_;
  std::vector<CtlCommand>& commands_;
};

}  // namespace

std::unique_ptr<CLI::App> MakeParser(CtlOptions& options,
                                     std::vector<CtlCommand>& commands) {
  auto app = std::make_unique<CLI::App>("Talks to an mlad daemon.", "mla-ctl");
  app->set_version_flag("--version", std::string("mla-ctl ") + MLAD_VERSION);
  app->add_option("--address,-a", options.connection.address,
                  "HOST:PORT or unix:/PATH")
      ->envname("MLAD_ADDRESS")
      ->capture_default_str();
  app->add_option("--timeout", options.connection.timeout_s,
                  "Seconds after which the daemon stops working on it")
      ->check(NotNegative());
  AddSecurity(*app, options.connection);
  app->require_subcommand(1);
  app->footer(kFooter);
  ParserBuilder builder(*app, options, commands);
  builder.AddTextCommands();
  builder.AddAdminCommands();
  return app;
}

int RunCommandLine(int argc, const char* const* argv) {
  // What it would say we say ourselves, in a sentence.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  CtlOptions options;
  std::vector<CtlCommand> commands;
  const std::unique_ptr<CLI::App> app = MakeParser(options, commands);
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& asked_for) {
    return app->exit(asked_for);
  } catch (const CLI::RequiredError& error) {
    const std::vector<std::string> unknown = app->remaining();
    return Complain(
        app->get_subcommands().empty() && !unknown.empty()
            ? absl::StrCat("there is no command '", unknown.front(), "'")
            : error.what());
  } catch (const CLI::Error& error) {
    return Complain(error.what());
  }
  for (const CtlCommand& command : commands) {
    if (command.app->parsed()) return command.run(options);
  }
  return kExitUsage;
}

}  // namespace mlad
