#include "bench/numa_report.h"

#include "base/status.h"

namespace mlad {
namespace {

constexpr int64_t kDepth = 4096;
constexpr int64_t kDepths[] = {1024,  2048,  4096,  8192,
                               16384, 32768, 65536, 131072};
constexpr int64_t kBatches[] = {1, 2, 4, 8, 16, 32, 64};

ModelledStep MakeStep(const ModelChoice& model, KvType kv_type, int64_t batch,
                      int64_t depth) {
  ModelledStep step;
  step.shape = model.shape;
  step.types = model.types;
  step.kv_type = kv_type;
  step.batch = batch;
  step.depth = depth;
  return step;
}

absl::StatusOr<ServerRow> MakeServerRow(const NumaMachine& machine,
                                        const MeasuredRates& measured,
                                        const ModelChoice& model,
                                        ModelledStep step) {
  ServerRow row;
  row.model = model.name;
  row.machine = machine.name;
  row.batch = step.batch;
  row.depth = step.depth;
  MLAD_ASSIGN_OR_RETURN(row.one_socket,
                        PredictStep(machine.WithSockets(1), measured, step));
  for (size_t i = 0; i < kLayouts; ++i) {
    step.layout = kAllMemoryLayouts[i];
    MLAD_ASSIGN_OR_RETURN(row.both[i], PredictStep(machine, measured, step));
  }
  return row;
}

absl::StatusOr<AttentionRow> MakeAttentionRow(const NumaMachine& machine,
                                              const MeasuredRates& measured,
                                              const ModelChoice& model,
                                              ModelledStep step) {
  AttentionRow row;
  row.model = model.name;
  row.machine = machine.name;
  row.depth = step.depth;
  constexpr AttentionSplit kSplits[] = {AttentionSplit::kPositions,
                                        AttentionSplit::kHeads,
                                        AttentionSplit::kHeadsMirrored};
  for (size_t i = 0; i < row.splits.size(); ++i) {
    step.attention = kSplits[i];
    MLAD_ASSIGN_OR_RETURN(row.splits[i], PredictStep(machine, measured, step));
  }
  return row;
}

std::vector<NumaMachine> Servers(const MeasuredRates& measured) {
  std::vector<NumaMachine> servers;
  for (const MachineFacts& facts : ServerFacts()) {
    servers.push_back(MakeServer(facts, 1, measured));
    const bool has_nps = facts.cores_per_l3 < facts.cores_per_socket;
    if (has_nps) servers.push_back(MakeServer(facts, 4, measured));
  }
  return servers;
}

/// V3 at 4.5 bits over depths and batches.
absl::Status AddCurves(const NumaMachine& server, const ModelChoice& model,
                       KvType kv_type, NumaReport& report) {
  for (const int64_t depth : kDepths) {
    const ModelledStep step = MakeStep(model, kv_type, 1, depth);
    MLAD_ASSIGN_OR_RETURN(report.depths.emplace_back(),
                          MakeServerRow(server, report.measured, model, step));
    MLAD_ASSIGN_OR_RETURN(
        report.attention.emplace_back(),
        MakeAttentionRow(server, report.measured, model, step));
  }
  for (const int64_t batch : kBatches) {
    MLAD_ASSIGN_OR_RETURN(
        report.batches.emplace_back(),
        MakeServerRow(server, report.measured, model,
                      MakeStep(model, kv_type, batch, kDepth)));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<ModelChoice> ModelChoices() {
  struct Named {
    const char* preset;
    const char* name;
  };
  std::vector<ModelChoice> choices;
  for (const Named& named : {Named{"lite", "V2-Lite"}, Named{"v3", "V3"},
                             Named{"kimi-k2", "Kimi-K2"}}) {
    for (const TensorType type : {TensorType::kIQ4_NL, TensorType::kQ8_0}) {
      const bool four = type == TensorType::kIQ4_NL;
      choices.push_back(
          {std::string(named.name) + (four ? ", 4.5 bits" : ", 8.5 bits"),
           *FindSynthShape(named.preset),
           {type, type, type}});
    }
  }
  return choices;
}

absl::StatusOr<NumaReport> MakeNumaReport(const MeasuredRates& measured,
                                          KvType kv_type) {
  NumaReport report;
  report.measured = measured;
  report.kv_type = KvTypeName(kv_type);
  const std::vector<NumaMachine> servers = Servers(measured);
  for (const ModelChoice& model : ModelChoices()) {
    MLAD_ASSIGN_OR_RETURN(const double bytes,
                          PackedModelBytes(model.shape, model.types));
    report.weights_bytes.emplace_back(model.name, bytes);
    for (const NumaMachine& server : servers) {
      MLAD_ASSIGN_OR_RETURN(report.servers.emplace_back(),
                            MakeServerRow(server, measured, model,
                                          MakeStep(model, kv_type, 1, kDepth)));
    }
    if (model.name != "V3, 4.5 bits") continue;
    for (const NumaMachine& server : servers) {
      MLAD_RETURN_IF_ERROR(AddCurves(server, model, kv_type, report));
    }
  }
  return report;
}

}  // namespace mlad
