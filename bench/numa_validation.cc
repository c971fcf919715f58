#include "bench/numa_validation.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "bench/cached_sequence.h"
#include "bench/numa_model.h"
#include "bench/stopwatch.h"
#include "bench/synth_file.h"
#include "model/loaded_model.h"
#include "numa/executor.h"
#include "numa/topology.h"

namespace mlad {
namespace {

constexpr int kTokens = 8;  // of a run
constexpr int kRuns = 7;

struct Depth {
  int64_t batch, depth;
};
constexpr Depth kDepths[] = {
    {1, 1024}, {1, 4096}, {1, 16384}, {1, 32768}, {8, 1024}};

absl::Status MakeFile(const std::string& path) {
  if (std::filesystem::exists(path)) return absl::OkStatus();
  SynthFile file;
  file.path = path + ".part";
  file.shape = ValidationShape();
  file.types = ValidationTypes();
  MLAD_RETURN_IF_ERROR(WriteSynthFile(file).status());
  std::filesystem::rename(file.path, path);
  return absl::OkStatus();
}

/// A loaded model and what it needs.
class EngineRun {
 public:
  static absl::StatusOr<std::unique_ptr<EngineRun>> Load(
      const std::string& path, const KernelTable& kernels, KvType kv_type,
      int nodes) {
    auto run = std::make_unique<EngineRun>();
    TopologyOptions options;
    options.nodes = nodes;
    MLAD_ASSIGN_OR_RETURN(run->topology_, Topology::Create(options));
    MLAD_ASSIGN_OR_RETURN(run->executor_, Executor::Create(*run->topology_));
    MLAD_ASSIGN_OR_RETURN(const auto file, GgufFile::Open(path, {}));
    LoadOptions load;
    load.kernels = &kernels;
    load.kv_type = kv_type;
    load.experts.placement = MoePlacement::kSliced;
    for (const Depth& d : kDepths) {
      load.cache_tokens =
          std::max(load.cache_tokens,
                   d.batch * (d.depth + 2 * kTokens + kPagePositions * kLanes));
    }
    MLAD_ASSIGN_OR_RETURN(
        run->model_,
        LoadedModel::Load(*file, *run->topology_, *run->executor_, load));
    run->kernels_ = &kernels;
    return run;
  }

  int workers() const { return executor_->workers(0); }

  void Measure(ValidationRow& row) {
    std::vector<CachedSequence> sequences(row.batch);
    for (size_t s = 0; s < sequences.size(); ++s) {
      sequences[s].pages = model_->pages().NewTable();
      sequences[s].number = static_cast<int64_t>(s);
      MLAD_CHECK(
          model_->pages().Grow(sequences[s].pages, row.depth + kTokens).ok());
    }
    // Pages never written would all be the kernel's one page of zeros.
    CacheFiller(*model_, *executor_, *kernels_, CacheFill::kRandom)
        .Fill(absl::MakeSpan(sequences), row.depth + kTokens, [](double) {});
    Generate(sequences, row.depth);
    const Counters before = Read();
    std::vector<double> seconds(kRuns);
    for (double& run : seconds) {
      run = SecondsOf([&] { Generate(sequences, row.depth); });
    }
    const Counters after = Read();
    std::nth_element(seconds.begin(), seconds.begin() + kRuns / 2,
                     seconds.end());
    const auto tokens = static_cast<double>(kTokens * row.batch);
    row.measured_tokens_per_s = tokens / seconds[kRuns / 2];
    row.measured_bytes_per_token =
        (after.bytes - before.bytes) / (tokens * kRuns);
    const double barrier = after.barrier_ns - before.barrier_ns;
    row.measured_barrier_share =
        barrier / (barrier + after.busy_ns - before.busy_ns);
    for (CachedSequence& sequence : sequences) {
      model_->pages().Release(sequence.pages);
    }
  }

 private:
  struct Counters {
    double bytes = 0, busy_ns = 0, barrier_ns = 0;
  };
  Counters Read() const {
    Counters sum;
    for (int n = 0; n < executor_->nodes(); ++n) {
      const Traffic traffic = model_->transformer().traffic(n);
      const NodeExecutionStats stats = executor_->stats(n);
      sum.bytes +=
          static_cast<double>(traffic.local_bytes + traffic.remote_bytes);
      sum.busy_ns += static_cast<double>(stats.busy_ns);
      sum.barrier_ns += static_cast<double>(stats.barrier_ns);
    }
    return sum;
  }

  void Generate(std::vector<CachedSequence>& sequences, int64_t depth) {
    for (int64_t i = 0; i < kTokens; ++i) {
      GenerateStep(*model_, absl::MakeSpan(sequences), depth + i);
    }
  }

  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<LoadedModel> model_;
  const KernelTable* kernels_ = nullptr;
};

/// This machine as the engine uses it with that many nodes.
NumaMachine SplitThisMachine(const MeasuredRates& measured, int nodes,
                             int workers) {
  NumaMachine machine = ThisMachine(measured);
  machine.nodes_per_socket = nodes;
  machine.cores_per_socket = nodes * workers;
  return machine;
}

}  // namespace

SynthShape ValidationShape() {
  SynthShape shape = *FindSynthShape("lite");
  shape.layers = 4;
  return shape;
}

SynthTypes ValidationTypes() {
  return {TensorType::kIQ4_NL, TensorType::kIQ4_NL, TensorType::kIQ4_NL};
}

absl::StatusOr<std::vector<ValidationRow>> ValidateModel(
    const std::string& path, const KernelTable& kernels, KvType kv_type,
    const MeasuredRates& measured) {
  MLAD_RETURN_IF_ERROR(MakeFile(path));
  std::vector<ValidationRow> rows;
  for (const int nodes : {1, 2}) {
    MLAD_ASSIGN_OR_RETURN(const auto engine,
                          EngineRun::Load(path, kernels, kv_type, nodes));
    const NumaMachine machine =
        SplitThisMachine(measured, nodes, engine->workers());
    for (const Depth& d : kDepths) {
      ValidationRow& row = rows.emplace_back();
      row.nodes = nodes;
      row.batch = d.batch;
      row.depth = d.depth;
      engine->Measure(row);
      ModelledStep step;
      step.shape = ValidationShape();
      step.types = ValidationTypes();
      step.kv_type = kv_type;
      step.batch = d.batch;
      step.depth = d.depth;
      MLAD_ASSIGN_OR_RETURN(const PredictedStep predicted,
                            PredictStep(machine, measured, step));
      row.predicted_tokens_per_s = predicted.tokens_per_s;
      row.predicted_bytes_per_token =
          (predicted.local_bytes + predicted.remote_bytes) /
          static_cast<double>(d.batch);
      row.predicted_barrier_share = predicted.barriers_s / predicted.step_s;
    }
  }
  return rows;
}

}  // namespace mlad
