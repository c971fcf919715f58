#include "bench/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/status.h"
#include "numa/node_memory.h"

namespace mlad {
namespace {

constexpr int64_t kBytesPerNode = 512 << 20;
constexpr int kPasses = 5;

/// Something of all the words, so that none of the loads can be left out.
uint64_t Digest(const std::byte* data, int64_t bytes) {
  constexpr int64_t kLanes = 16;
  uint64_t lanes[kLanes] = {};
  for (int64_t at = 0; at + kLanes * 8 <= bytes; at += kLanes * 8) {
    uint64_t words[kLanes];
    std::memcpy(words, data + at, sizeof words);
    for (int i = 0; i < kLanes; ++i) lanes[i] ^= words[i];
  }
  uint64_t digest = 0;
  for (const uint64_t lane : lanes) digest ^= lane;
  return digest;
}

}  // namespace

absl::StatusOr<double> MeasureReadBandwidth(const Topology& topology,
                                            Executor& executor) {
  std::vector<NodeRegion> regions;
  for (int node = 0; node < topology.node_count(); ++node) {
    MLAD_ASSIGN_OR_RETURN(regions.emplace_back(),
                          NodeRegion::Allocate(topology, node, kBytesPerNode,
                                               "measuring bandwidth"));
    std::memset(regions.back().data(), 1, kBytesPerNode);
  }
  std::atomic<uint64_t> digest = 0;
  executor.SetProgram({{"read", [&](const WorkerContext& worker) {
                          const WorkRange range = SplitEvenly(
                              kBytesPerNode, worker.workers, worker.worker);
                          digest +=
                              Digest(regions[worker.node].data() + range.begin,
                                     range.end - range.begin);
                        }}});
  double best_s = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto begin = std::chrono::steady_clock::now();
    executor.RunProgram();
    const std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - begin;
    if (pass == 0 || elapsed.count() < best_s) best_s = elapsed.count();
  }
  executor.SetProgram({});
  const double bytes =
      static_cast<double>(kBytesPerNode) * topology.node_count();
  return bytes / best_s;
}

}  // namespace mlad
