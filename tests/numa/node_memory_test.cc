#include "numa/node_memory.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numa/free_memory.h"
#include "numa/memory_ledger.h"
#include "numa/topology.h"

namespace mlad {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

class NodeRegionTest : public testing::Test {
 protected:
  NodeRegion Region(int64_t bytes) {
    auto region = NodeRegion::Allocate(*topology_, 0, bytes, "test data");
    EXPECT_TRUE(region.ok()) << region.status();
    return *std::move(region);
  }
  int64_t promised() const {
    return topology_->memory_ledger()->promised_bytes(
        topology_->nodes()[0].os_index);
  }

  std::unique_ptr<Topology> topology_ = *Topology::Create({});
};

TEST_F(NodeRegionTest, IsZeroFilledWritableAndAligned) {
  for (int64_t bytes : {int64_t{1}, int64_t{4097}, 2 * kMiB, 5 * kMiB + 3}) {
    const NodeRegion region = Region(bytes);
    ASSERT_NE(region.data(), nullptr);
    EXPECT_EQ(region.bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(region.data()) %
                  (bytes >= 2 * kMiB ? 2 * kMiB : 4096),
              0u);
    for (int64_t i = 0; i < bytes; i += 511) {
      ASSERT_EQ(region.data()[i], std::byte{0});
    }
    std::memset(region.data(), 7, bytes);
  }
}

TEST_F(NodeRegionTest, EmptyRegionHoldsNothing) {
  const NodeRegion region = Region(0);
  EXPECT_EQ(region.data(), nullptr);
  EXPECT_EQ(*region.CountMisplacedPages(*topology_), 0);
}

TEST_F(NodeRegionTest, TouchedPagesAreHome) {
  const NodeRegion region = Region(3 * kMiB);
  EXPECT_EQ(region.CheckPlacement(*topology_)->pages_touched, 0);
  std::memset(region.data(), 1, region.bytes());
  const auto report = region.CheckPlacement(*topology_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->pages_checked, report->region_pages);
  EXPECT_GE(report->pages_touched * report->page_bytes, region.bytes());
  EXPECT_EQ(report->pages_misplaced, 0);
  EXPECT_EQ(*region.CountMisplacedPages(*topology_), 0);
}

TEST_F(NodeRegionTest, PopulatedMemoryIsAllThereAndUnchanged) {
  const NodeRegion region = Region(3 * kMiB);
  region.data()[kMiB] = std::byte{1};
  ASSERT_TRUE(region.Populate(*topology_).ok());
  const auto report = region.CheckPlacement(*topology_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->pages_touched, report->region_pages);
  EXPECT_EQ(region.data()[kMiB], std::byte{1});
  EXPECT_EQ(region.data()[kMiB + 1], std::byte{0});
  EXPECT_TRUE(NodeRegion().Populate(*topology_).ok());
}

TEST_F(NodeRegionTest, KnowsWhatItIsFor) {
  NodeRegion first = Region(1);
  const NodeRegion second = std::move(first);
  EXPECT_EQ(second.purpose(), "test data");
}

TEST_F(NodeRegionTest, NothingToCorrectAtHome) {
  NodeRegion region = Region(kMiB);
  std::memset(region.data(), 1, region.bytes());
  const auto report = region.CorrectMisplacedPages(*topology_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->pages_misplaced, 0);
  EXPECT_EQ(report->pages_moved, 0);
  EXPECT_EQ(region.data()[kMiB - 1], std::byte{1});
}

TEST_F(NodeRegionTest, HugePagesComeFromThePoolWhileItHoldsThemAll) {
  const int os_node = topology_->nodes()[0].os_index;
  const int64_t pool = FreeMemory().FreeHugePages(os_node, 2 * kMiB);
  if (pool == 0) GTEST_SKIP() << "no pool of 2 MiB pages on this machine";
  const NodeRegion region = Region(2 * kMiB * pool - 1);
  EXPECT_EQ(region.page_bytes(), 2 * kMiB);
  EXPECT_EQ(FreeMemory().FreeHugePages(os_node, 2 * kMiB), 0);
  std::memset(region.data(), 1, region.bytes());
  EXPECT_EQ(region.CheckPlacement(*topology_)->pages_touched, pool);
  EXPECT_EQ(Region(2 * kMiB).page_bytes(), 4096);
}

TEST_F(NodeRegionTest, MovingHandsTheMemoryOver) {
  NodeRegion first = Region(kMiB);
  std::byte* const data = first.data();
  NodeRegion second = std::move(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(first.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(promised(), kMiB);
  second = Region(2 * kMiB);
  EXPECT_EQ(promised(), 2 * kMiB);
  second = NodeRegion();
  EXPECT_EQ(promised(), 0);
}

TEST_F(NodeRegionTest, MoreThanIsFreeIsRefusedByName) {
  const auto region =
      NodeRegion::Allocate(*topology_, 0, int64_t{1} << 50, "the latent cache");
  ASSERT_EQ(region.status().code(), absl::StatusCode::kResourceExhausted);
  const std::string message(region.status().message());
  EXPECT_THAT(message, testing::HasSubstr("the latent cache"));
  EXPECT_THAT(message, testing::HasSubstr("1024.0 TiB"));
  EXPECT_THAT(message, testing::HasSubstr("missing"));
  EXPECT_EQ(promised(), 0);
}

TEST_F(NodeRegionTest, PlanningTopologiesHaveNoMemory) {
  const auto planned =
      *Topology::Create({.source = "pack:2 [numa] core:2 pu:1"});
  EXPECT_EQ(NodeRegion::Allocate(*planned, 1, 64, "x").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(MemoryLedger, PromisesNoByteTwice) {
  MemoryLedger ledger;
  EXPECT_EQ(ledger.Reserve(0, 600, 1000), 0);
  // Untouched: the kernel still says 1000.
  EXPECT_EQ(ledger.Reserve(0, 600, 1000), 200);
  EXPECT_EQ(ledger.Reserve(0, 400, 1000), 0);
  // Touched: the kernel says what is left.
  EXPECT_EQ(ledger.Reserve(0, 1, 0), 1);
  ledger.Release(0, 400);
  EXPECT_EQ(ledger.Reserve(0, 400, 400), 0);
  EXPECT_EQ(ledger.promised_bytes(0), 1000);
}

TEST(MemoryLedger, OthersMayTakeMemoryMeanwhile) {
  MemoryLedger ledger;
  EXPECT_EQ(ledger.Reserve(0, 100, 1000), 0);
  EXPECT_EQ(ledger.Reserve(0, 500, 300), 200);
  EXPECT_EQ(ledger.Reserve(1, 500, 500), 0);  // nodes are apart
}

}  // namespace
}  // namespace mlad
