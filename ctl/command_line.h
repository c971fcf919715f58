// The command line of mla-ctl.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "ctl/options.h"

namespace mlad {

using CommandFunction = int (*)(const CtlOptions&);

/// One subcommand: what it is called and what it does.
struct CtlCommand {
  CLI::App* app = nullptr;
  CommandFunction run = nullptr;
};

/// The parser, which writes into `options`. `commands` receives the
/// subcommands, in the order in which help lists them.
std::unique_ptr<CLI::App> MakeParser(CtlOptions& options,
                                     std::vector<CtlCommand>& commands);

/// Parses argv and runs the command; returns the exit status.
int RunCommandLine(int argc, const char* const* argv);

}  // namespace mlad
