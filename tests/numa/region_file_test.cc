// Memory that outlives its region.
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numa/free_memory.h"
#include "numa/node_memory.h"
#include "numa/topology.h"

namespace mlad {
namespace {

constexpr int64_t kBytes = (5 << 20) + 3;

class RegionFile : public testing::Test {
 protected:
  NodeRegion Make(int64_t bytes = kBytes) {
    auto region = NodeRegion::Allocate(*topology_, 0, bytes, "test data",
                                       NodeRegion::Backing::kFile);
    EXPECT_TRUE(region.ok()) << region.status();
    return *std::move(region);
  }
  absl::StatusCode AttachError(int descriptor, int64_t bytes) {
    return NodeRegion::Attach(*topology_, 0, bytes, "test data", descriptor)
        .status()
        .code();
  }

  std::unique_ptr<Topology> topology_ = *Topology::Create({});
};

TEST_F(RegionFile, IsZeroFilledBoundAndAligned) {
  const NodeRegion region = Make();
  EXPECT_GE(region.descriptor(), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region.data()) % (2 << 20), 0u);
  for (int64_t i = 0; i < kBytes; i += 511) {
    ASSERT_EQ(region.data()[i], std::byte{0});
  }
  EXPECT_TRUE(region.Populate(*topology_).ok());
  const auto report = region.CheckPlacement(*topology_);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->pages_misplaced, 0);
}

TEST_F(RegionFile, HoldsWhatWasWrittenAfterTheRegionIsGone) {
  int kept = -1;
  {
    const NodeRegion region = Make();
    std::memset(region.data(), 0x5a, kBytes);
    kept = fcntl(region.descriptor(), F_DUPFD_CLOEXEC, 0);
  }
  const auto again =
      NodeRegion::Attach(*topology_, 0, kBytes, "test data", kept);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->bytes(), kBytes);
  for (int64_t i = 0; i < kBytes; i += 511) {
    ASSERT_EQ(again->data()[i], std::byte{0x5a});
  }
}

TEST_F(RegionFile, HugePagesOfThePoolOutliveTheRegion) {
  const int os_node = topology_->nodes()[0].os_index;
  const int64_t pool = FreeMemory().FreeHugePages(os_node, 2 << 20);
  if (pool < 3) GTEST_SKIP() << "no pool of 2 MiB pages on this machine";
  int kept = -1;
  {
    const NodeRegion region = Make();
    EXPECT_EQ(region.page_bytes(), 2 << 20);
    EXPECT_EQ(FreeMemory().FreeHugePages(os_node, 2 << 20), pool - 3);
    std::memset(region.data(), 0x5a, kBytes);
    kept = fcntl(region.descriptor(), F_DUPFD_CLOEXEC, 0);
  }
  EXPECT_EQ(FreeMemory().FreeHugePages(os_node, 2 << 20), pool - 3);
  {
    const auto again =
        NodeRegion::Attach(*topology_, 0, kBytes, "test data", kept);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->page_bytes(), 2 << 20);
    EXPECT_EQ(again->data()[kBytes - 1], std::byte{0x5a});
    const auto report = again->CheckPlacement(*topology_);
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->pages_misplaced, 0);
  }
  EXPECT_EQ(FreeMemory().FreeHugePages(os_node, 2 << 20), pool);
}

TEST_F(RegionFile, CannotShrinkUnderItsReaders) {
  const NodeRegion region = Make();
  EXPECT_NE(ftruncate(region.descriptor(), 4096), 0);
}

TEST_F(RegionFile, OnlySealedFilesOfTheSizeAreAttached) {
  const auto kDataLoss = absl::StatusCode::kDataLoss;
  EXPECT_EQ(AttachError(-1, kBytes), kDataLoss);
  const int unsealed = memfd_create("unsealed", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(unsealed, 8 << 20), 0);
  EXPECT_EQ(AttachError(unsealed, kBytes), kDataLoss);
  const NodeRegion small = Make(4096);
  EXPECT_EQ(AttachError(fcntl(small.descriptor(), F_DUPFD_CLOEXEC, 0), kBytes),
            kDataLoss);
}

}  // namespace
}  // namespace mlad
