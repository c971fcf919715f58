// The commands of mla-ctl; each returns the exit status.
#pragma once

#include "ctl/options.h"

namespace mlad {

int RunGenerate(const CtlOptions& options);
/// With words, a file or a pipe: one question. On a terminal without them: a
/// conversation, line by line, until end of input.
int RunChat(const CtlOptions& options);
int RunTokenize(const CtlOptions& options);
int RunDetokenize(const CtlOptions& options);
int RunScore(const CtlOptions& options);
int RunStats(const CtlOptions& options);
/// A live view of the terminal's size, until q or Ctrl-C.
int RunTop(const CtlOptions& options);
int RunTopology(const CtlOptions& options);
int RunExperts(const CtlOptions& options);
int RunSession(const CtlOptions& options);
int RunHealth(const CtlOptions& options);
int RunCompletion(const CtlOptions& options);

}  // namespace mlad
