// mla-bench serve: a load test of a running daemon.
#pragma once

namespace mlad {

/// argv[0] is "serve". Returns the exit status: 0 done (whatever became of the
/// requests), 1 failed, 2 usage.
int RunServeCommand(int argc, const char* const* argv);

}  // namespace mlad
