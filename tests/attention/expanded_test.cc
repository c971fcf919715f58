#include "attention/expanded.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/attention/cached_sequences.h"

namespace mlad {
namespace {

constexpr int64_t kContext = 300;  // two tiles and a piece
constexpr int64_t kTestHeads = 3;
constexpr int64_t kQueryStride = kNope + kRope + 5;
constexpr int64_t kOutStride = kTestHeads * kValue;

/// Queries of all rows of all heads: [kTestHeads, kContext, kQueryStride].
const std::vector<float>& Queries() {
  static const auto& queries = *new std::vector<float>(
      RandomFloats(kTestHeads * kContext * kQueryStride, 1, 77));
  return queries;
}

const float* QueryOf(int64_t head, int64_t row) {
  return &Queries()[(head * kContext + row) * kQueryStride];
}

std::vector<HeadWeights> AllHeads() {
  return {RandomHead(1), RandomHead(2), RandomHead(3)};
}

/// Rows [begin, end) of heads [head_begin, head_end) into
/// out [kContext, kOutStride].
struct Part {
  int64_t begin, end;
  int64_t head_begin, head_end;
};

void RunPart(const CachedSequences& sequences, const Part& part,
             std::vector<float>& out, Traffic& traffic) {
  const std::vector<HeadWeights> weights = AllHeads();
  std::vector<ExpandedHead> heads;
  for (int64_t h = part.head_begin; h < part.head_end; ++h) {
    heads.push_back({weights[h].w_uk.data(), weights[h].w_uv.data(),
                     QueryOf(h, part.begin), kQueryStride,
                     &out[part.begin * kOutStride + h * kValue], kOutStride});
  }
  AlignedFloats scratch(
      ExpandedScratchFloats(TestExpandedShape(), part.end - part.begin,
                            static_cast<int64_t>(heads.size())));
  ExpandedChunk chunk;
  chunk.kernels = &sequences.kernels();
  chunk.cache = &sequences.cache();
  chunk.layer = CachedSequences::kLayer;
  chunk.shape = TestExpandedShape();
  chunk.rows = {&sequences.pages(0), part.begin, 0, part.end - part.begin, 0};
  chunk.heads = heads;
  chunk.scratch = scratch.data();
  chunk.traffic = &traffic;
  RunExpanded(chunk);
}

std::vector<float> RunParts(const CachedSequences& sequences,
                            const std::vector<Part>& parts) {
  std::vector<float> out(kContext * kOutStride);
  Traffic traffic;
  for (const Part& part : parts) RunPart(sequences, part, out, traffic);
  return out;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

CachedSequences MakeSequence(const KernelTable& kernels, KvType type,
                             int nodes) {
  CachedSequences sequences(kernels, type, nodes);
  sequences.Add(kContext, 4);
  return sequences;
}

class Expanded : public ::testing::TestWithParam<const KernelTable*> {};

TEST_P(Expanded, EqualsTheDefinitionForEveryCacheType) {
  const std::vector<HeadWeights> heads = AllHeads();
  for (const KvType type : kAllKvTypes) {
    SCOPED_TRACE(KvTypeName(type));
    const bool coded =
        type == KvType::kQ8KV && GetParam()->coded_attention != nullptr;
    const CachedSequences sequences = MakeSequence(*GetParam(), type, 2);
    const std::vector<float> latents = sequences.Latents(0, kContext);
    const std::vector<float> out =
        RunParts(sequences, {{0, kContext, 0, kTestHeads}});
    std::vector<ExactHead> exact_heads;
    for (const HeadWeights& head : heads)
      exact_heads.emplace_back(head, latents);
    for (const int64_t row : {0, 1, 31, 32, 63, 64, 127, 128, 200, 299}) {
      for (int64_t h = 0; h < kTestHeads; ++h) {
        const ExactAttention exact =
            exact_heads[h].Attend(QueryOf(h, row), row + 1);
        for (int64_t v = 0; v < kValue; ++v) {
          ASSERT_NEAR(out[row * kOutStride + h * kValue + v], exact.out[v],
                      coded ? exact.coded_expanded_bound : exact.expanded_bound)
              << "row " << row << " head " << h << " value " << v;
        }
      }
    }
  }
}

// Chunked prefill is whole prefill, and heads or rows may be cut anywhere.
TEST_P(Expanded, BitsDoNotDependOnChunksHeadGroupsOrNodes) {
  for (const KvType type : {KvType::kQ8_0, KvType::kQ8KV}) {
    SCOPED_TRACE(KvTypeName(type));
    const CachedSequences one_node = MakeSequence(*GetParam(), type, 1);
    const std::vector<float> whole =
        RunParts(one_node, {{0, kContext, 0, kTestHeads}});
    const std::vector<std::vector<Part>> cuts = {
        {{0, kContext, 0, 1}, {0, kContext, 1, 2}, {0, kContext, 2, 3}},
        {{0, 128, 0, 3}, {128, 256, 0, 3}, {256, 300, 0, 3}},
        {{0, 1, 0, 3},
         {1, 100, 0, 2},
         {1, 100, 2, 3},
         {100, 299, 0, 3},
         {299, 300, 0, 3}},
    };
    for (const int nodes : {1, 4}) {
      const CachedSequences sequences = MakeSequence(*GetParam(), type, nodes);
      for (size_t i = 0; i < cuts.size(); ++i) {
        EXPECT_TRUE(SameBits(RunParts(sequences, cuts[i]), whole))
            << nodes << " nodes, cut " << i;
      }
    }
  }
}

TEST_P(Expanded, WritesItsOwnHeadsAndRowsOnly) {
  const CachedSequences sequences = MakeSequence(*GetParam(), KvType::kF16, 1);
  std::vector<float> out(kContext * kOutStride, 55.0f);
  Traffic traffic;
  RunPart(sequences, {40, 50, 1, 2}, out, traffic);
  for (int64_t row = 0; row < kContext; ++row) {
    for (int64_t c = 0; c < kOutStride; ++c) {
      const bool own = row >= 40 && row < 50 && c >= kValue && c < 2 * kValue;
      EXPECT_EQ(out[row * kOutStride + c] == 55.0f, !own);
    }
  }
}

TEST_P(Expanded, CountsPagesOfOtherNodesAsRemote) {
  const CachedSequences sequences = MakeSequence(*GetParam(), KvType::kF16, 2);
  std::vector<float> out(kContext * kOutStride);
  Traffic traffic;
  RunPart(sequences, {200, 300, 0, 3}, out, traffic);
  // Ten pages, the last with 12 positions on the other node; once for all
  // heads.
  const int64_t row_bytes = sequences.cache().row_bytes();
  EXPECT_EQ(traffic.local_bytes, 5 * kPagePositions * row_bytes);
  EXPECT_EQ(traffic.remote_bytes, (4 * kPagePositions + 12) * row_bytes);
}

TEST(ExpandedScratch, StaysInTheCacheAtPublishedShapes) {
  const ExpandedShape v3 = {128, 64, 128, 512, 1};
  const int64_t tile_floats =
      ExpandedScratchFloats(v3, 512) - 512 * (v3.v_dim + 2);
  EXPECT_LE(tile_floats * static_cast<int64_t>(sizeof(float)), 640 << 10);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Expanded,
                         ::testing::ValuesIn(SupportedKernels()),
                         [](const auto& table) {
                           return std::string(IsaName(table.param->isa));
                         });

}  // namespace
}  // namespace mlad
