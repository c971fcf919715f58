#include "bench/measured_rates.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "base/status.h"
#include "bench/machine_limits.h"
#include "bench/stopwatch.h"
#include "numa/executor.h"
#include "numa/topology.h"

namespace mlad {
namespace {

/// A topology of this machine and its running workers.
struct Team {
  std::unique_ptr<Topology> topology;
  std::unique_ptr<Executor> executor;

  static absl::StatusOr<Team> Start(int nodes, int threads_per_node) {
    TopologyOptions options;
    options.nodes = nodes;
    options.threads_per_node = threads_per_node;
    Team team;
    MLAD_ASSIGN_OR_RETURN(team.topology, Topology::Create(options));
    MLAD_ASSIGN_OR_RETURN(team.executor, Executor::Create(*team.topology));
    return team;
  }
};

/// Of a stage that does nothing, the median of some runs: it is waiting that is
/// measured, and the best run is the one where nobody had to.
double MeasureBarrier(Executor& executor) {
  constexpr int kStages = 1000;
  constexpr int kRuns = 31;
  executor.SetProgram(
      std::vector<Stage>(kStages, {"nothing", [](const WorkerContext&) {}}));
  executor.RunProgram();
  std::vector<double> seconds(kRuns);
  for (double& run : seconds) {
    run = SecondsOf([&] { executor.RunProgram(); }) / kStages;
  }
  executor.SetProgram({});
  std::nth_element(seconds.begin(), seconds.begin() + kRuns / 2, seconds.end());
  return seconds[kRuns / 2];
}

/// Two workers pass a line back and forth; 0 where there is only one.
double MeasureHandoff(Executor& executor) {
  constexpr int kRounds = 100000;
  if (executor.workers(0) < 2) return 0;
  alignas(128) std::atomic<int> ball{0};
  executor.SetProgram({{"pass", [&](const WorkerContext& worker) {
                          const int me = worker.worker;
                          if (me > 1) return;
                          for (int i = 0; i < kRounds; ++i) {
                            while (ball.load() != 2 * i + me) {
                            }
                            ball.store(2 * i + me + 1);
                          }
                        }}});
  double best = 0;
  for (int run = 0; run < 5; ++run) {
    ball = 0;
    const double seconds = SecondsOf([&] { executor.RunProgram(); });
    if (run == 0 || seconds < best) best = seconds;
  }
  executor.SetProgram({});
  return best / (2.0 * kRounds);
}

/// A dependent 64-bit multiplication takes three cycles on every core since
/// Zen and Haswell.
double MeasureClock() {
  constexpr int64_t kSteps = 4096;
  constexpr double kCycles = 3;
  volatile uint64_t seed = 3;
  uint64_t value = seed;
  const double seconds = BestSeconds([&] {
    const uint64_t factor = seed;
    for (int64_t i = 0; i < kSteps; ++i) value *= factor;
    seed = value | 1;
  });
  return kCycles * static_cast<double>(kSteps) / seconds;
}

}  // namespace

absl::StatusOr<MeasuredRates> MeasureRates(const KernelTable& kernels,
                                           KvType kv_type) {
  MeasuredRates rates;
  rates.core = MeasureKernels(kernels, kv_type);
  MLAD_RETURN_IF_ERROR(MeasureAttention(kernels, kv_type, rates.core));
  rates.clock_hz = MeasureClock();
  {
    MLAD_ASSIGN_OR_RETURN(const Team one, Team::Start(1, 1));
    MLAD_ASSIGN_OR_RETURN(const MachineLimits limits,
                          MeasureLimits(*one.topology, *one.executor, kernels));
    rates.core.read_bytes_per_s = limits.read_bytes_per_s;
  }
  {
    MLAD_ASSIGN_OR_RETURN(const Team all, Team::Start(1, 0));
    rates.cores = all.executor->workers(0);
    MLAD_ASSIGN_OR_RETURN(const MachineLimits limits,
                          MeasureLimits(*all.topology, *all.executor, kernels));
    rates.memory_bytes_per_s = limits.read_bytes_per_s;
    rates.node_barrier_s = MeasureBarrier(*all.executor);
    rates.handoff_s = MeasureHandoff(*all.executor);
  }
  MLAD_ASSIGN_OR_RETURN(const Team two, Team::Start(2, 0));
  rates.cross_barrier_s = MeasureBarrier(*two.executor);
  return rates;
}

}  // namespace mlad
