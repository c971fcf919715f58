#include "attention/latent_cache.h"

#include <cstring>
#include <set>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Topology> MakeTopology(int nodes) {
  TopologyOptions options;
  options.nodes = nodes;
  options.threads_per_node = 1;
  return Topology::Create(options).value();
}

TEST(LatentCache, PagesOfOneTokenAndLayerHaveThePublishedSizes) {
  const auto topology = MakeTopology(1);
  const std::pair<KvType, int64_t> expected[] = {{KvType::kF16, 1152},
                                                 {KvType::kBF16, 1152},
                                                 {KvType::kQ8_0, 612},
                                                 {KvType::kQ8KV, 584},
                                                 {KvType::kQ6_0, 468}};
  for (const auto& [type, row_bytes] : expected) {
    const auto cache =
        LatentCache::Create(*topology, {type, 27, 576}, {2}).value();
    EXPECT_EQ(cache->row_bytes(), row_bytes);
    EXPECT_EQ(cache->page_bytes(), 27 * 32 * row_bytes);
    EXPECT_GE(cache->regions()[0].bytes(), 2 * cache->page_bytes());
  }
}

TEST(LatentCache, EveryRowHasItsOwnBytesOnItsNode) {
  const auto topology = MakeTopology(2);
  const auto cache =
      LatentCache::Create(*topology, {KvType::kQ8KV, 3, 64}, {2, 2}).value();
  PageAllocator allocator({2, 2});
  PageTable table = allocator.NewTable();
  ASSERT_TRUE(allocator.Grow(table, 4 * kPagePositions).ok());
  std::set<const std::byte*> seen;
  for (int64_t layer = 0; layer < 3; ++layer) {
    for (int64_t p = 0; p < 4 * kPagePositions; ++p) {
      std::byte* row = cache->Row(table, p, layer);
      const NodeRegion& region =
          cache->regions()[table.pages[p / kPagePositions].node];
      EXPECT_EQ(region.node(), table.pages[p / kPagePositions].node);
      ASSERT_GE(row, region.data());
      ASSERT_LE(row + cache->row_bytes(), region.data() + region.bytes());
      EXPECT_TRUE(seen.insert(row).second);
      EXPECT_EQ((row - region.data()) % cache->row_bytes(), 0);
    }
  }
  // Rows of a layer of a page are contiguous, as decoding expects.
  EXPECT_EQ(cache->Row(table, 33, 2),
            cache->Rows(table.pages[1], 2) + cache->row_bytes());
}

TEST(LatentCache, ANodeMayHaveNoPages) {
  const auto topology = MakeTopology(2);
  const auto cache =
      LatentCache::Create(*topology, {KvType::kF16, 1, 64}, {1, 0});
  ASSERT_TRUE(cache.ok()) << cache.status();
  EXPECT_EQ((*cache)->regions().size(), 2u);
  EXPECT_EQ((*cache)->regions()[1].bytes(), 0);
}

TEST(LatentCache, RefusesARowThatTheTypeCannotStore) {
  const auto topology = MakeTopology(1);
  const auto cache =
      LatentCache::Create(*topology, {KvType::kQ8_0, 1, 50}, {1});
  EXPECT_EQ(cache.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(cache.status().message()), HasSubstr("q8_0"));
}

TEST(LatentCache, RefusesMoreThanTheMachineHas) {
  const auto topology = MakeTopology(1);
  const auto cache = LatentCache::Create(*topology, {KvType::kF16, 61, 576},
                                         {int64_t{1} << 30});
  EXPECT_EQ(cache.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(cache.status().message()), HasSubstr("KV cache"));
}

}  // namespace
}  // namespace mlad
