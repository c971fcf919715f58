#include <algorithm>
#include <iostream>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status.h"
#include "ctl/commands.h"
#include "ctl/json_output.h"
#include "ctl/session.h"
#include "ctl/table.h"

namespace mlad {
namespace {

/// "node 0: 3 7; node 1: 2 4"
std::string Replicas(const v1::ExpertLayer& layer) {
  std::string text;
  for (const v1::ExpertReplicas& on_node : layer.replicas()) {
    if (on_node.experts().empty()) continue;
    absl::StrAppend(&text, text.empty() ? "" : "; ", "node ", on_node.node(),
                    ": ", absl::StrJoin(on_node.experts(), " "));
  }
  return text.empty() ? "none" : text;
}

void AddLayer(const v1::ExpertLayer& layer, Table& table) {
  const auto& tokens = layer.tokens();
  const int64_t all = std::accumulate(tokens.begin(), tokens.end(), int64_t{0});
  const auto busiest = std::max_element(tokens.begin(), tokens.end());
  const auto idle = std::count(tokens.begin(), tokens.end(), 0);
  if (all == 0) {
    table.Add({absl::StrCat(layer.layer()), "0", "none", "-",
               absl::StrCat(idle), Replicas(layer)});
    return;
  }
  const double mean =
      static_cast<double>(all) / static_cast<double>(tokens.size());
  table.Add({absl::StrCat(layer.layer()), absl::StrCat(all),
             absl::StrCat(busiest - tokens.begin()),
             absl::StrFormat("%.2f", static_cast<double>(*busiest) / mean),
             absl::StrCat(idle), Replicas(layer)});
}

void ShowExperts(const v1::Experts& experts) {
  std::cout << "experts placed " << experts.placement();
  if (experts.replicas_per_node() > 0) {
    std::cout << ", room for " << experts.replicas_per_node()
              << " replicas a layer on every node";
  }
  std::cout << "\n\n";
  Table table({"layer", "chosen", "busiest", "times the mean", "never chosen",
               "replicas"});
  for (const v1::ExpertLayer& layer : experts.layers()) AddLayer(layer, table);
  std::cout << table.ToString(Colours());
}

}  // namespace

int RunExperts(const CtlOptions& options) {
  return WithClient(
      options.connection,
      [&](Client& client, const CallOptions& call) -> absl::Status {
        MLAD_ASSIGN_OR_RETURN(const v1::Experts experts,
                              client.GetExperts(call));
        if (options.json) {
          PrintJsonLine(ToJson(experts));
        } else {
          ShowExperts(experts);
        }
        return absl::OkStatus();
      });
}

}  // namespace mlad
