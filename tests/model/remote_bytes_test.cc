// What crosses nodes in generation is activations: a small share of what is
// read. Four layers of DeepSeek-V2-Lite's shape in IQ4_NL, by the engine's own
// counters, on two nodes.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/model/model_runner.h"

#include "bench/synth_file.h"

namespace mlad {
namespace {

constexpr double kLargestRemoteShare = 0.02;

std::string LiteFile() {
  const char* folder = std::getenv("MLAD_SYNTHETIC_MODELS");
  const std::filesystem::path path =
      std::filesystem::path(folder == nullptr ? "/tmp" : folder) /
      "lite4-iq4_nl.gguf";
  if (!std::filesystem::exists(path)) {
    std::filesystem::create_directories(path.parent_path());
    SynthFile file;
    file.path = path.string() + ".part";
    file.shape = *FindSynthShape("lite");
    file.shape.layers = 4;
    file.types.matrices = TensorType::kIQ4_NL;
    EXPECT_TRUE(WriteSynthFile(file).ok());
    std::filesystem::rename(file.path, path);
  }
  return path.string();
}

/// Over all nodes.
Traffic TotalTraffic(ModelRunner& runner) {
  Traffic sum;
  for (int node = 0; node < runner.topology().node_count(); ++node) {
    const Traffic traffic = runner.loaded().transformer().traffic(node);
    sum.local_bytes += traffic.local_bytes;
    sum.remote_bytes += traffic.remote_bytes;
  }
  return sum;
}

class RemoteBytes : public testing::TestWithParam<MoePlacement> {};

TEST_P(RemoteBytes, AreASmallShareOfGenerationAtAnyDepth) {
  RunnerOptions options;
  options.nodes = 2;
  options.threads_per_node = 1;
  options.kv_type = KvType::kQ8KV;
  options.experts = {GetParam(), 0};
  options.cache_tokens = 33 * 1024;
  ModelRunner runner(LiteFile(), options);
  for (const int64_t depth : {1024, 32 * 1024}) {
    // What the cache holds does not matter to what is read of it.
    ModelRunner::Sequence sequence = runner.NewSequence();
    sequence.tokens = depth;
    const Traffic before = TotalTraffic(runner);
    for (int32_t id = 0; id < 8; ++id) {
      runner.Append(sequence, absl::MakeConstSpan(&id, 1));
    }
    const Traffic after = TotalTraffic(runner);
    const auto remote =
        static_cast<double>(after.remote_bytes - before.remote_bytes);
    const auto local =
        static_cast<double>(after.local_bytes - before.local_bytes);
    const double share = remote / (remote + local);
    std::printf("depth %ld: %.2f MB a token, %.2f%% of it remote\n",
                static_cast<long>(depth), (remote + local) / 8e6, 100 * share);
    EXPECT_GT(remote, 0);
    EXPECT_LE(share, kLargestRemoteShare) << "depth " << depth;
    runner.Release(sequence);
  }
}

INSTANTIATE_TEST_SUITE_P(Placements, RemoteBytes,
                         testing::Values(MoePlacement::kSliced,
                                         MoePlacement::kWhole),
                         [](const auto& param) {
                           return std::string(MoePlacementName(param.param));
                         });

}  // namespace
}  // namespace mlad
