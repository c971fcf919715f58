#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "base/status.h"
#include "daemon/commands.h"
#include "daemon/model_source.h"
#include "kernels/kernels.h"
#include "model/loaded_model.h"
#include "numa/format_bytes.h"
#include "numa/free_memory.h"
#include "numa/kernel_settings.h"
#include "numa/topology.h"

namespace mlad {
namespace {

enum class Verdict : uint8_t { kGood, kAdvice, kFailed };

/// Prints one line a finding and remembers the worst.
class Report {
 public:
  void Add(Verdict verdict, const std::string& topic,
           const std::string& sentence) {
    static constexpr const char* kMarks[] = {"ok    ", "advice", "FAILED"};
    std::cout << absl::StreamFormat(
        "%s  %-10s %s\n", kMarks[static_cast<int>(verdict)], topic, sentence);
    failed_ = failed_ || verdict == Verdict::kFailed;
  }
  void Add(const std::string& topic, const absl::Status& status) {
    Add(Verdict::kFailed, topic, std::string(status.message()));
  }
  bool failed() const { return failed_; }

 private:
  bool failed_ = false;
};

void CheckKernels(Report& report) {
  std::vector<std::string> names;
  for (const KernelTable* table : SupportedKernels()) {
    names.emplace_back(IsaName(table->isa));
  }
  const char* forced = std::getenv("MLAD_ISA");
  const auto selected = SelectKernels(forced == nullptr ? "" : forced);
  if (!selected.ok()) {
    report.Add("kernels", selected.status());
    return;
  }
  const std::string name(IsaName((*selected)->isa));
  report.Add(name == "scalar" ? Verdict::kAdvice : Verdict::kGood, "kernels",
             absl::StrCat(name, " will be used; this CPU can run ",
                          absl::StrJoin(names, ", ")));
}

void CheckNodes(Report& report, const Topology& topology) {
  const FreeMemory memory;
  for (const NodeDescription& node : topology.nodes()) {
    const auto free_bytes = memory.NodeBytes(node.os_index);
    report.Add(
        Verdict::kGood, "node",
        absl::StrFormat(
            "%d: %d workers, %s of memory, %s free%s", node.node,
            node.cpus.size(), FormatBytes(node.memory_bytes),
            free_bytes.has_value() ? FormatBytes(*free_bytes)
                                   : "an unknown part",
            node.simulated ? " (simulated: a part of a real node)" : ""));
  }
  for (const std::string& note : topology.notes()) {
    report.Add(Verdict::kAdvice, "node", note);
  }
}

void CheckKernelSettings(Report& report) {
  const std::vector<std::string> warnings = KernelWarnings();
  for (const std::string& warning : warnings) {
    report.Add(Verdict::kAdvice, "settings", warning);
  }
  if (warnings.empty()) {
    report.Add(Verdict::kGood, "settings",
               "no setting of the kernel works against placed memory");
  }
}

void CheckModel(Report& report, const ModelOptions& options,
                const Topology& topology) {
  const auto source = OpenModel(options, /*header_only=*/false);
  if (!source.ok()) {
    report.Add("model", source.status());
    return;
  }
  report.Add(Verdict::kGood, "model",
             absl::StrCat(source->shape.name, " in ", source->path));
  const auto kv_type = ParseKvType(options.kv);
  if (!kv_type.ok()) {
    report.Add("plan", kv_type.status());
    return;
  }
  LoadOptions load;
  load.kv_type = *kv_type;
  load.cache_tokens =
      ChooseContext(options, source->shape.max_position_embeddings)
          .cache_tokens;
  const auto plan = PlanModel(*source->file, source->shape, topology, load);
  if (!plan.ok()) {
    report.Add("plan", plan.status());
    return;
  }
  report.Add(
      Verdict::kGood, "plan",
      absl::StrFormat("%s of weights, %s of cache for %d tokens, %s to compute",
                      FormatBytes(plan->weights_bytes),
                      FormatBytes(plan->kv_bytes_capacity),
                      plan->context_tokens, FormatBytes(plan->compute_bytes)));
}

}  // namespace

int RunDoctor(const DoctorOptions& options) {
  Report report;
  CheckKernels(report);
  const auto topology = Topology::Create(MakeTopologyOptions(options.model));
  if (!topology.ok()) {
    report.Add("nodes", topology.status());
    return 1;
  }
  CheckNodes(report, **topology);
  CheckKernelSettings(report);
  CheckModel(report, options.model, **topology);
  return report.failed() ? 1 : 0;
}

}  // namespace mlad
