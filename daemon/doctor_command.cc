#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status.h"
#include "daemon/commands.h"
#include "daemon/finding.h"
#include "daemon/limit_checks.h"
#include "daemon/machine_checks.h"
#include "daemon/machine_files.h"
#include "daemon/model_source.h"
#include "kernels/kernels.h"
#include "model/loaded_model.h"
#include "numa/format_bytes.h"
#include "numa/free_memory.h"
#include "numa/topology.h"

namespace mlad {
namespace {

using Findings = std::vector<Finding>;

Finding Failure(const std::string& topic, const absl::Status& status) {
  return {topic, Verdict::kFailed, std::string(status.message()), "", ""};
}

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "ok";
    case Verdict::kAdvice:
      return "advice";
    case Verdict::kFailed:
      return "failed";
  }
  return "";
}

Finding Kernels() {
  std::vector<std::string> names;
  for (const KernelTable* table : SupportedKernels()) {
    names.emplace_back(IsaName(table->isa));
  }
  const char* forced = std::getenv("MLAD_ISA");
  const auto selected = SelectKernels(forced == nullptr ? "" : forced);
  if (!selected.ok()) return Failure("isa", selected.status());
  const std::string name(IsaName((*selected)->isa));
  const bool slow = name == "scalar";
  return {"isa", slow ? Verdict::kAdvice : Verdict::kGood,
          absl::StrCat(name, " will be used; this CPU can run ",
                       absl::StrJoin(names, ", ")),
          "scalar kernels are for tests; a prompt is read many times faster "
          "with AVX-512",
          slow ? "unset MLAD_ISA, or use a CPU with AVX2 or AVX-512" : ""};
}

/// How mlad will use the machine, which may be a part of it.
Findings Nodes(const Topology& topology) {
  Findings findings;
  const FreeMemory memory;
  const char* const why = "weights, cache and workers are laid on these nodes";
  for (const NodeDescription& node : topology.nodes()) {
    const auto free_bytes = memory.NodeBytes(node.os_index);
    findings.push_back(
        {"node", Verdict::kGood,
         absl::StrFormat(
             "%d: %d workers, %s of memory, %s for the taking%s", node.node,
             node.cpus.size(), FormatBytes(node.memory_bytes),
             free_bytes.has_value() ? FormatBytes(*free_bytes)
                                    : "an unknown part",
             node.simulated ? " (simulated: a part of a real node)" : ""),
         why, ""});
  }
  for (const std::string& note : topology.notes()) {
    findings.push_back({"node", Verdict::kAdvice, note, why, ""});
  }
  return findings;
}

absl::StatusOr<PlacementPlan> Plan(const ModelOptions& options,
                                   const ModelSource& source,
                                   const Topology& topology) {
  LoadOptions load;
  MLAD_ASSIGN_OR_RETURN(load.kv_type, ParseKvType(options.kv));
  MLAD_ASSIGN_OR_RETURN(load.experts, MakeExpertPlan(options));
  load.cache_tokens =
      ChooseContext(options, source.shape.max_position_embeddings).cache_tokens;
  return PlanModel(*source.file, source.shape, topology, load);
}

/// Returns the bytes that the model needs; 0 when that is not known.
int64_t AddModel(const ModelOptions& options, const Topology& topology,
                 Findings& findings) {
  const auto source = OpenModel(options, /*header_only=*/false);
  if (!source.ok()) {
    findings.push_back(Failure("model", source.status()));
    return 0;
  }
  findings.push_back({"model", Verdict::kGood,
                      absl::StrCat(source->shape.name, " in ", source->path),
                      "it is whole and of a supported architecture", ""});
  const auto plan = Plan(options, *source, topology);
  if (!plan.ok()) {
    findings.push_back(Failure("plan", plan.status()));
    return 0;
  }
  findings.push_back(
      {"plan", Verdict::kGood,
       absl::StrFormat(
           "%s of weights, %s of cache for %d tokens, %s to compute",
           FormatBytes(plan->weights_bytes),
           FormatBytes(plan->kv_bytes_capacity), plan->context_tokens,
           FormatBytes(plan->compute_bytes)),
       "all memory is taken before serving", ""});
  return plan->weights_bytes + plan->kv_bytes_capacity + plan->compute_bytes;
}

Findings Examine(const DoctorOptions& options) {
  Findings findings = {Kernels()};
  const auto append = [&](Findings more) {
    std::move(more.begin(), more.end(), std::back_inserter(findings));
  };
  const MachineFiles files;
  append(CheckMachine(files));
  int64_t needed_bytes = 0;
  const auto topology = Topology::Create(MakeTopologyOptions(options.model));
  if (topology.ok()) {
    append(Nodes(**topology));
    needed_bytes = AddModel(options.model, **topology, findings);
  } else {
    findings.push_back(Failure("node", topology.status()));
  }
  append(CheckLimits(files, needed_bytes, options.max_connections));
  return findings;
}

void PrintAsText(const Findings& findings) {
  for (const Finding& finding : findings) {
    std::cout << absl::StreamFormat("%-6s  %-22s  %s\n",
                                    VerdictName(finding.verdict), finding.topic,
                                    finding.found);
    if (finding.verdict == Verdict::kGood) continue;
    if (!finding.why.empty()) {
      std::cout << "        why: " << finding.why << "\n";
    }
    if (!finding.remedy.empty()) {
      std::cout << "        do:  " << finding.remedy << "\n";
    }
  }
}

void PrintAsJson(const Findings& findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"topic", finding.topic},
                    {"verdict", VerdictName(finding.verdict)},
                    {"found", finding.found},
                    {"why", finding.why},
                    {"remedy", finding.remedy}});
  }
  const nlohmann::json report = {{"findings", std::move(list)}};
  std::cout << report.dump(-1, ' ', false,
                           nlohmann::json::error_handler_t::replace)
            << "\n";
}

}  // namespace

int RunDoctor(const DoctorOptions& options) {
  const Findings findings = Examine(options);
  options.json ? PrintAsJson(findings) : PrintAsText(findings);
  const bool failed =
      std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
        return finding.verdict == Verdict::kFailed;
      });
  return failed ? 1 : 0;
}

}  // namespace mlad
