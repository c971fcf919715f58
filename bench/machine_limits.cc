#include "bench/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <vector>

#include "base/status.h"
#include "bench/stopwatch.h"
#include "numa/node_memory.h"

namespace mlad {
namespace {

/// Something of all the words, so that none of the loads can be left out. Looks
/// ahead as the kernels do: some hardware alone reads little more than half of
/// what memory gives.
uint64_t Digest(const std::byte* data, int64_t bytes) {
  constexpr int64_t kLanes = 16;
  constexpr int64_t kAheadBytes = 4096;
  uint64_t lanes[kLanes] = {};
  for (int64_t at = 0; at + kLanes * 8 <= bytes; at += kLanes * 8) {
    __builtin_prefetch(data + at + kAheadBytes);
    __builtin_prefetch(data + at + kAheadBytes + 64);
    uint64_t words[kLanes];
    std::memcpy(words, data + at, sizeof words);
    for (int i = 0; i < kLanes; ++i) lanes[i] ^= words[i];
  }
  uint64_t digest = 0;
  for (const uint64_t lane : lanes) digest ^= lane;
  return digest;
}

/// Seconds of the fastest of some runs of `body` on all workers.
double BestSeconds(Executor& executor, int passes, const StageBody& body) {
  executor.SetProgram({{"limits", body}});
  double best_s = 0;
  for (int pass = 0; pass < passes; ++pass) {
    const auto begin = SteadyClock::now();
    executor.RunProgram();
    const double seconds = SecondsSince(begin);
    if (pass == 0 || seconds < best_s) best_s = seconds;
  }
  executor.SetProgram({});
  return best_s;
}

absl::StatusOr<double> ReadBandwidth(const Topology& topology,
                                     Executor& executor,
                                     const LimitsEffort& effort) {
  const int64_t node_bytes = effort.bytes_per_node;
  std::vector<NodeRegion> regions;
  for (int node = 0; node < topology.node_count(); ++node) {
    MLAD_ASSIGN_OR_RETURN(regions.emplace_back(),
                          NodeRegion::Allocate(topology, node, node_bytes,
                                               "measuring bandwidth"));
    std::memset(regions.back().data(), 1, node_bytes);
  }
  std::atomic<uint64_t> digest = 0;
  const double best_s =
      BestSeconds(executor, effort.passes, [&](const WorkerContext& worker) {
        const WorkRange range =
            SplitEvenly(node_bytes, worker.workers, worker.worker);
        digest += Digest(regions[worker.node].data() + range.begin,
                         range.end - range.begin);
      });
  const double bytes = static_cast<double>(node_bytes) * topology.node_count();
  return bytes / best_s;
}

using PeakKernel = int64_t (*)(int64_t rounds) noexcept;

/// Operations per second of all workers.
double PeakOps(Executor& executor, PeakKernel peak,
               const LimitsEffort& effort) {
  // As many rounds as one core needs for some milliseconds.
  int64_t rounds = 1 << 10;
  for (double seconds = 0; seconds < effort.peak_s; rounds *= 2) {
    const auto begin = SteadyClock::now();
    peak(rounds);
    seconds = SecondsSince(begin);
  }
  std::atomic<int64_t> operations = 0;
  const double best_s =
      BestSeconds(executor, effort.passes,
                  [&](const WorkerContext&) { operations += peak(rounds); });
  return static_cast<double>(operations) / effort.passes / best_s;
}

}  // namespace

MachineLimits& MachineLimits::operator|=(const MachineLimits& other) {
  read_bytes_per_s = std::max(read_bytes_per_s, other.read_bytes_per_s);
  int8_ops_per_s = std::max(int8_ops_per_s, other.int8_ops_per_s);
  f32_ops_per_s = std::max(f32_ops_per_s, other.f32_ops_per_s);
  return *this;
}

absl::StatusOr<MachineLimits> MeasureLimits(const Topology& topology,
                                            Executor& executor,
                                            const KernelTable& kernels,
                                            const LimitsEffort& effort) {
  MachineLimits limits;
  MLAD_ASSIGN_OR_RETURN(limits.read_bytes_per_s,
                        ReadBandwidth(topology, executor, effort));
  limits.int8_ops_per_s = PeakOps(executor, kernels.peak_int8, effort);
  limits.f32_ops_per_s = PeakOps(executor, kernels.peak_f32, effort);
  return limits;
}

std::string CpuName() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line)) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "an unknown CPU";
}

}  // namespace mlad
