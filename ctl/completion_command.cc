#include <algorithm>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"

#include "ctl/command_line.h"
#include "ctl/commands.h"
#include "ctl/exit_status.h"

namespace mlad {
namespace {

constexpr char kBash[] = R"(_mla_ctl() {
  local word=$${COMP_WORDS[COMP_CWORD]} command= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case " $0 " in *" $${COMP_WORDS[i]} "*) command=$${COMP_WORDS[i]}; break ;; esac
  done
  local words="$0 $1"
  case $$command in
$2  esac
  COMPREPLY=($$(compgen -W "$$words" -- "$$word"))
  case $${COMP_WORDS[COMP_CWORD-1]} in
    $3) COMPREPLY=($$(compgen -f -- "$$word")) ;;
  esac
}
complete -F _mla_ctl mla-ctl
)";

// Flags that a file's name follows.
constexpr const char* kFileFlags[] = {"file", "json-schema", "grammar",
                                      "messages"};

bool NamesFile(const std::string& flag) {
  return std::find(std::begin(kFileFlags), std::end(kFileFlags), flag) !=
         std::end(kFileFlags);
}

/// The long flags of a parser.
std::string Flags(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      flags.push_back(absl::StrCat("--", name));
    }
  }
  return absl::StrJoin(flags, " ");
}

/// What a command takes besides flags.
std::string Choices(const std::string& command) {
  if (command == "completion") return " bash zsh fish";
  if (command == "session") return " save list restore drop";
  return "";
}

std::string BashScript(const CLI::App& app,
                       const std::vector<CtlCommand>& commands) {
  std::vector<std::string> names;
  std::string cases;
  for (const CtlCommand& command : commands) {
    names.push_back(command.app->get_name());
    absl::StrAppend(&cases, "    ", command.app->get_name(), ") words=\"",
                    Flags(*command.app), Choices(command.app->get_name()),
                    "\" ;;\n");
  }
  return absl::Substitute(
      kBash, absl::StrJoin(names, " "), Flags(app), cases,
      absl::StrCat("-f|--", absl::StrJoin(kFileFlags, "|--")));
}

std::string FishScript(const CLI::App& app,
                       const std::vector<CtlCommand>& commands) {
  std::string script = "complete -c mla-ctl -f\n";
  const auto add_options = [&](const CLI::App& parser,
                               const std::string& condition) {
    for (const CLI::Option* option : parser.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        absl::StrAppend(&script, "complete -c mla-ctl ", condition, " -l ",
                        name, NamesFile(name) ? " -r -F" : "", "\n");
      }
    }
  };
  add_options(app, "");
  for (const CtlCommand& command : commands) {
    const std::string name = command.app->get_name();
    absl::StrAppend(&script, "complete -c mla-ctl -n __fish_use_subcommand -a ",
                    name, " -d '", command.app->get_description(), "'\n");
    add_options(*command.app,
                absl::StrCat("-n '__fish_seen_subcommand_from ", name, "'"));
  }
  return script;
}

}  // namespace

int RunCompletion(const CtlOptions& options) {
  CtlOptions unused;
  std::vector<CtlCommand> commands;
  const std::unique_ptr<CLI::App> app = MakeParser(unused, commands);
  if (options.shell == "fish") {
    std::cout << FishScript(*app, commands);
  } else {
    if (options.shell == "zsh") {
      std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
    }
    std::cout << BashScript(*app, commands);
  }
  return kExitDone;
}

}  // namespace mlad
