// Answers of the daemon as JSON.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "mlad/v1/admin.pb.h"
#include "mlad/v1/inference.pb.h"

namespace mlad {

/// One line on stdout; bytes that are not UTF-8 become U+FFFD.
void PrintJsonLine(const nlohmann::json& value);

nlohmann::json ToJson(
    const google::protobuf::RepeatedPtrField<v1::TokenAlternative>&
        alternatives);
nlohmann::json ToJson(
    const google::protobuf::RepeatedPtrField<v1::TokenScore>& scores);
/// The contract of `mla-ctl stats --json`: array `nodes` and totals.
nlohmann::json ToJson(const v1::Stats& stats);
nlohmann::json ToJson(const v1::Topology& topology);
nlohmann::json ToJson(const v1::ModelInfo& info);
nlohmann::json ToJson(const v1::Experts& experts);
nlohmann::json ToJson(const v1::Session& session);

/// "loading", "serving", "draining"
std::string StateName(v1::ServingState state);

}  // namespace mlad
