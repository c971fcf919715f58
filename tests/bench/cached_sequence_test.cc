#include "bench/cached_sequence.h"

#include <cstring>
#include <memory>
#include <set>

#include <gtest/gtest.h>

#include "tests/model/tiny_model.h"

#include "model/gguf_file.h"
#include "numa/topology.h"

namespace mlad {
namespace {

constexpr int64_t kChunk = 64;

/// The latents of one position, all layers.
std::string Latents(const LoadedModel& model, const CachedSequence& sequence,
                    int64_t position) {
  const LatentCache& cache = model.cache();
  std::string bytes;
  for (int64_t layer = 0; layer < cache.shape().layers; ++layer) {
    const std::byte* row = cache.Row(sequence.pages, position, layer);
    bytes.append(reinterpret_cast<const char*>(row), cache.row_bytes());
  }
  return bytes;
}

class CacheFillerTest : public ::testing::Test {
 protected:
  CacheFillerTest() {
    file_ = *GgufFile::Open(TinyModelFile("bench.gguf", {}), {});
    topology_ = *Topology::Create({.nodes = 2, .threads_per_node = 1});
    executor_ = *Executor::Create(*topology_);
    LoadOptions options;
    options.kernels = SupportedKernels().front();
    options.kv_type = KvType::kF16;
    options.cache_tokens = 4096;
    options.chunk_tokens = kChunk;
    model_ = *LoadedModel::Load(*file_, *topology_, *executor_, options);
  }

  std::vector<CachedSequence> Sequences(int count) {
    std::vector<CachedSequence> sequences(count);
    for (int i = 0; i < count; ++i) {
      sequences[i].number = i;
      sequences[i].pages = model_->pages().NewTable();
    }
    return sequences;
  }
  CacheFiller Filler(CacheFill fill) {
    return {*model_, *executor_, *SupportedKernels().front(), fill};
  }
  static void Ignore(double) {}

  std::unique_ptr<GgufFile> file_;
  std::unique_ptr<Topology> topology_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<LoadedModel> model_;
};

TEST_F(CacheFillerTest, DepthByDepthIsAsIfReadAtOnce) {
  auto slow = Sequences(1);
  auto fast = Sequences(1);
  CacheFiller at_once = Filler(CacheFill::kPrompt);
  at_once.Fill(absl::MakeSpan(slow), 300, Ignore);
  CacheFiller by_depth = Filler(CacheFill::kPrompt);
  for (const int64_t depth : {0, 10, 100, 128, 300}) {
    by_depth.Fill(absl::MakeSpan(fast), depth, Ignore);
    // What a test leaves behind.
    ASSERT_TRUE(model_->pages().Grow(fast[0].pages, depth + 5).ok());
    fast[0].number = 77;
    for (int i = 0; i < 5; ++i) {
      GenerateStep(*model_, absl::MakeSpan(fast), depth + i);
    }
    fast[0].number = 0;
  }
  for (int64_t p = 0; p < 300; ++p) {
    ASSERT_EQ(Latents(*model_, slow[0], p), Latents(*model_, fast[0], p)) << p;
  }
  EXPECT_NE(Latents(*model_, slow[0], 10), Latents(*model_, slow[0], 11));
}

TEST_F(CacheFillerTest, OtherSequencesGetCopiesOfTheirOwn) {
  auto sequences = Sequences(3);
  Filler(CacheFill::kPrompt).Fill(absl::MakeSpan(sequences), 100, Ignore);
  for (int64_t p = 0; p < 100; ++p) {
    const std::string first = Latents(*model_, sequences[0], p);
    EXPECT_EQ(first, Latents(*model_, sequences[1], p)) << p;
    EXPECT_EQ(first, Latents(*model_, sequences[2], p)) << p;
  }
  EXPECT_NE(model_->cache().Row(sequences[0].pages, 0, 0),
            model_->cache().Row(sequences[1].pages, 0, 0));
}

TEST_F(CacheFillerTest, RandomRowsAreManyAndFinite) {
  auto sequences = Sequences(2);
  Filler(CacheFill::kRandom).Fill(absl::MakeSpan(sequences), 200, Ignore);
  std::set<std::string> different;
  for (const CachedSequence& sequence : sequences) {
    for (int64_t p = 0; p < 200; ++p) {
      different.insert(Latents(*model_, sequence, p));
    }
  }
  EXPECT_GT(different.size(), 190);
  const LatentCacheShape& shape = model_->cache().shape();
  std::vector<float> row(shape.row_elements);
  double squares = 0;
  for (int64_t p = 0; p < 200; ++p) {
    SupportedKernels().front()->decode_latent(
        shape.type, model_->cache().Row(sequences[1].pages, p, 1), 1,
        shape.row_elements, row.data());
    for (const float x : row) squares += static_cast<double>(x) * x;
  }
  // Normal numbers: 200 rows of 96 squares have a mean of 1 within 5 standard
  // errors, 5 * sqrt(2 / 19200); rows of the pool may come twice.
  EXPECT_NEAR(squares / (200. * static_cast<double>(shape.row_elements)), 1,
              0.05 * 1.5);
}

}  // namespace
}  // namespace mlad
