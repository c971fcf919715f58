#include "model/weight_checksum.h"

#include <cstddef>
#include <thread>

#include <xxhash.h>

namespace mlad {
namespace {

int64_t WrittenBytes(const PackJob& job) {
  switch (job.kind) {
    case PackJob::Kind::kCopyBytes:
      return job.rows * job.cols;
    case PackJob::Kind::kToFloat:
      return job.cols * static_cast<int64_t>(sizeof(float));
    case PackJob::Kind::kPackRows:
    case PackJob::Kind::kPackTransposed:
      break;
  }
  return PackedBytes(job.format, job.rows, job.cols);
}

}  // namespace

std::vector<uint64_t> ChecksumWeights(absl::Span<const PackJob> jobs,
                                      Executor& executor) {
  std::vector<std::vector<const PackJob*>> by_node(executor.nodes());
  for (const PackJob& job : jobs) by_node[job.node].push_back(&job);
  std::vector<uint64_t> result(executor.nodes());
  std::vector<std::jthread> nodes;
  nodes.reserve(executor.nodes());
  for (int node = 0; node < executor.nodes(); ++node) {
    nodes.emplace_back([&, node] {
      const auto& own = by_node[node];
      std::vector<uint64_t> parts(own.size());
      executor.ParallelFor(
          node, static_cast<int64_t>(own.size()), [&](int64_t i) {
            parts[i] = XXH3_64bits(own[i]->out, WrittenBytes(*own[i]));
          });
      result[node] = XXH3_64bits(parts.data(), parts.size() * sizeof(parts[0]));
    });
  }
  nodes.clear();  // joins
  return result;
}

}  // namespace mlad
