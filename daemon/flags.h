// The flags of mlad's commands; each is a setting of configuration files, too.
#pragma once

#include <cstdint>

#include <CLI/CLI.hpp>

#include "daemon/options.h"

namespace mlad {

/// `options` outlives the command, here and below.
void AddModelOptions(CLI::App& command, ModelOptions& options);
void AddTopologyOption(CLI::App& command, ModelOptions& options);
void AddConnectionsOption(CLI::App& command, int64_t& max_connections);
/// Those of the model as well.
void AddServeOptions(CLI::App& serve, ServeOptions& options);

}  // namespace mlad
