#include "numa/free_memory.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "numa/format_bytes.h"
#include "numa/kernel_settings.h"

namespace mlad {
namespace {

constexpr int64_t kKiB = 1024;
constexpr int64_t kMiB = 1024 * kKiB;

/// A folder that looks like the kernel's files.
class FreeMemoryTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(root_); }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(
        std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }

  const std::string root_ =
      testing::TempDir() + "mlad_kernel_" + std::to_string(::getpid());
  const FreeMemory memory_{root_};
};

TEST_F(FreeMemoryTest, NothingIsKnownWithoutTheFiles) {
  EXPECT_EQ(memory_.MachineTotalBytes(), 0);
  EXPECT_EQ(memory_.MachineBytes(), std::nullopt);
  EXPECT_EQ(memory_.NodeBytes(0), std::nullopt);
  EXPECT_EQ(memory_.FreeHugePages(0, 2 * kMiB), 0);
}

TEST_F(FreeMemoryTest, ANodesPageCacheCountsLessWhatTheKernelKeeps) {
  Write("/sys/devices/system/node/node1/meminfo",
        "Node 1 MemTotal:       1048576 kB\n"
        "Node 1 MemFree:         100000 kB\n"
        "Node 1 Active(file):     30000 kB\n"
        "Node 1 Inactive(file):   20000 kB\n"
        "Node 1 SReclaimable:      4000 kB\n");
  // Kept: 1048576 / 128 = 8192 kB, off the free memory and off the cache; of
  // the slab only half can be counted on.
  EXPECT_EQ(memory_.NodeBytes(1),
            (100000 - 8192 + 50000 - 8192 + 4000 - 2000) * kKiB);
  EXPECT_EQ(memory_.NodeBytes(0), std::nullopt);
}

TEST_F(FreeMemoryTest, TheMachineSaysWhatIsAvailable) {
  Write("/proc/meminfo",
        "MemTotal: 2000 kB\nMemFree: 10 kB\nMemAvailable: 1500 kB\n");
  EXPECT_EQ(memory_.MachineTotalBytes(), 2000 * kKiB);
  EXPECT_EQ(memory_.MachineBytes(), 1500 * kKiB);
}

TEST_F(FreeMemoryTest, TheTightestCgroupOnThePathCounts) {
  Write("/proc/meminfo",
        "MemTotal: 20000000 kB\nMemFree: 10 kB\nMemAvailable: 15000000 kB\n");
  Write("/proc/self/cgroup", "0::/system.slice/mlad.service\n");
  const std::string base = "/sys/fs/cgroup/system.slice";
  Write(base + "/mlad.service/memory.max", "max\n");
  Write(base + "/mlad.service/memory.current", "5\n");
  Write(base + "/memory.max", std::to_string(100 * kMiB) + "\n");
  Write(base + "/memory.current", std::to_string(60 * kMiB) + "\n");
  Write(base + "/memory.stat",
        "anon 7\nactive_file 1048576\n"
        "inactive_file 9437184\n");
  EXPECT_EQ(memory_.MachineTotalBytes(), 100 * kMiB);
  EXPECT_EQ(memory_.MachineBytes(), (100 - 60 + 10) * kMiB);
}

TEST_F(FreeMemoryTest, VersionOneCgroups) {
  Write("/proc/meminfo",
        "MemTotal: 20000000 kB\nMemFree: 10 kB\nMemAvailable: 15000000 kB\n");
  Write("/proc/self/cgroup", "9:cpuset:/\n4:memory:/box\n0::/\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("/sys/fs/cgroup/memory/box/memory.limit_in_bytes",
        std::to_string(50 * kMiB));
  Write("/sys/fs/cgroup/memory/box/memory.usage_in_bytes",
        std::to_string(60 * kMiB));
  EXPECT_EQ(memory_.MachineTotalBytes(), 50 * kMiB);
  EXPECT_EQ(memory_.MachineBytes(), 0);
}

TEST_F(FreeMemoryTest, HugePagePools) {
  Write(
      "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/"
      "free_hugepages",
      "12\n");
  EXPECT_EQ(memory_.FreeHugePages(0, 2 * kMiB), 12);
  EXPECT_EQ(memory_.FreeHugePages(0, 1024 * kMiB), 0);
}

TEST_F(FreeMemoryTest, KernelSettingsAreWarnedAbout) {
  EXPECT_THAT(KernelWarnings(root_), testing::IsEmpty());
  Write("/proc/sys/kernel/numa_balancing", "0\n");
  Write("/sys/kernel/mm/transparent_hugepage/enabled",
        "always [madvise] never\n");
  EXPECT_THAT(KernelWarnings(root_), testing::IsEmpty());
  Write("/proc/sys/kernel/numa_balancing", "1\n");
  Write("/sys/kernel/mm/transparent_hugepage/enabled",
        "always madvise [never]\n");
  EXPECT_THAT(KernelWarnings(root_),
              testing::ElementsAre(testing::HasSubstr("NUMA balancing"),
                                   testing::HasSubstr("huge pages")));
}

TEST(FreeMemory, ThisMachineHasSome) {
  EXPECT_GT(FreeMemory().MachineTotalBytes(), 0);
  EXPECT_GT(FreeMemory().MachineBytes().value_or(0), 0);
}

TEST(FormatBytes, PicksTheUnit) {
  EXPECT_EQ(FormatBytes(0), "0 bytes");
  EXPECT_EQ(FormatBytes(1023), "1023 bytes");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(kMiB - 1), "1.0 MiB");
  EXPECT_EQ(FormatBytes(-3 * kMiB), "-3.0 MiB");
  EXPECT_EQ(FormatBytes(int64_t{5} << 50), "5120.0 TiB");
}

}  // namespace
}  // namespace mlad
