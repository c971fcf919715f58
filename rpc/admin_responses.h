// From the state of the daemon and its model to the messages of the Admin
// service.
#pragma once

#include "mlad/v1/admin.pb.h"

#include "rpc/served_model.h"
#include "rpc/server_state.h"

namespace mlad {

v1::Stats MakeStats(const ServerState& state);
v1::Topology MakeTopology(const ServedModel& model);
v1::Experts MakeExperts(const ServedModel& model);
v1::ModelInfo MakeModelInfo(const ServedModel& model,
                            const std::string& daemon_version);

}  // namespace mlad
