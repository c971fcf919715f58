// mlad doctor on machines that are folders with copies of the kernel's files.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "daemon/limit_checks.h"
#include "daemon/machine_checks.h"

namespace mlad {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kGiB = int64_t{1} << 30;

/// At first a machine with two sockets on which all is well.
class Doctor : public testing::Test {
 protected:
  Doctor() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "mlad-doctor-XXXXXX")
            .string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    Write("/proc/sys/kernel/numa_balancing", "0");
    Write("/proc/sys/vm/zone_reclaim_mode", "0");
    Write("/proc/sys/vm/swappiness", "60");
    Write("/proc/meminfo", "MemTotal: 1024 kB\nSwapTotal: 0 kB");
    Write("/sys/kernel/mm/transparent_hugepage/enabled",
          "always [madvise] never");
    for (int cpu = 0; cpu < 4; ++cpu) {
      Write(Cpu(cpu) + "cpufreq/scaling_governor", "performance");
      Write(Cpu(cpu) + "topology/physical_package_id", cpu < 2 ? "0" : "1");
    }
    WriteNode(0, "0-1", 64, 4);
    WriteNode(1, "2,3", 64, 4);
    WriteLimits("unlimited", "65536");
    Write("/proc/self/cgroup", "0::/system.slice/mlad.service");
    Write("/sys/fs/cgroup/cgroup.controllers", "cpu memory");
  }
  ~Doctor() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(
        std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text << "\n";
  }
  static std::string Cpu(int cpu) {
    return "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/";
  }
  void WriteNode(int node, const std::string& cpus, int64_t gib,
                 int64_t cached_gib) {
    const std::string folder =
        "/sys/devices/system/node/node" + std::to_string(node) + "/";
    const std::string prefix = "Node " + std::to_string(node) + " ";
    Write(folder + "cpulist", cpus);
    Write(folder + "meminfo",
          prefix + "MemTotal: " + std::to_string(gib << 20) + " kB\n" + prefix +
              "MemFree: 1048576 kB\n" + prefix +
              "FilePages: " + std::to_string(cached_gib << 20) + " kB");
  }
  void WriteLimits(const std::string& locked, const std::string& files) {
    Write("/proc/self/limits",
          "Limit                     Soft Limit           Hard Limit      "
          "     Units\nMax open files            1024                 " +
              files +
              "                files\nMax locked memory         65536  "
              "              " +
              locked + "            bytes");
  }

  Finding Find(const std::vector<Finding>& findings, const std::string& topic) {
    for (const Finding& finding : findings) {
      if (finding.topic == topic) return finding;
    }
    ADD_FAILURE() << "nothing about " << topic;
    return {};
  }
  Finding Machine(const std::string& topic) {
    return Find(CheckMachine(MachineFiles(root_)), topic);
  }
  Finding Limit(const std::string& topic, int64_t needed_bytes = kGiB) {
    return Find(CheckLimits(MachineFiles(root_), needed_bytes, 4096), topic);
  }
  static void ExpectAdvice(const Finding& finding, const std::string& found,
                           const std::string& remedy) {
    EXPECT_EQ(finding.verdict, Verdict::kAdvice) << finding.found;
    EXPECT_THAT(finding.found, HasSubstr(found));
    EXPECT_THAT(finding.remedy, HasSubstr(remedy));
    EXPECT_FALSE(finding.why.empty());
  }

  std::string root_;
};

TEST_F(Doctor, AGoodMachineGetsNoAdvice) {
  const MachineFiles files(root_);
  for (const auto& findings :
       {CheckMachine(files), CheckLimits(files, 100 * kGiB, 4096)}) {
    for (const Finding& finding : findings) {
      EXPECT_EQ(finding.verdict, Verdict::kGood)
          << finding.topic << ": " << finding.found;
      EXPECT_FALSE(finding.found.empty() || finding.why.empty());
      EXPECT_THAT(finding.remedy, IsEmpty());
    }
  }
}

TEST_F(Doctor, AMachineThatTellsNothingGetsNoFalseAlarm) {
  std::filesystem::remove_all(root_);
  const MachineFiles files(root_);
  for (const Finding& finding : CheckMachine(files)) {
    if (finding.topic == "transparent_huge_pages") continue;
    EXPECT_EQ(finding.verdict, Verdict::kGood) << finding.topic;
  }
  for (const Finding& finding : CheckLimits(files, kGiB, 4096)) {
    EXPECT_EQ(finding.verdict, Verdict::kGood) << finding.topic;
  }
}

TEST_F(Doctor, SettingsOfTheKernel) {
  Write("/proc/sys/kernel/numa_balancing", "1");
  Write("/sys/kernel/mm/transparent_hugepage/enabled",
        "always madvise [never]");
  Write("/proc/sys/vm/zone_reclaim_mode", "3");
  Write("/proc/meminfo", "SwapTotal: 8388608 kB");
  ExpectAdvice(Machine("numa_balancing"), "is on",
               "sysctl -w kernel.numa_balancing=0");
  ExpectAdvice(Machine("transparent_huge_pages"), "off", "echo madvise >");
  ExpectAdvice(Machine("zone_reclaim"), "mode 3", "vm.zone_reclaim_mode=0");
  ExpectAdvice(Machine("swap"), "8.0 GiB", "vm.swappiness=1");
  Write("/proc/sys/vm/swappiness", "1");
  EXPECT_EQ(Machine("swap").verdict, Verdict::kGood);
}

TEST_F(Doctor, GovernorOfSomeCpus) {
  Write(Cpu(2) + "cpufreq/scaling_governor", "powersave");
  ExpectAdvice(Machine("governor"), "performance on 3, powersave on 1 of 4",
               "cpupower");
}

TEST_F(Doctor, MemoryThatIsInterleavedOverSockets) {
  EXPECT_THAT(Machine("nodes_per_socket").found,
              HasSubstr("2 sockets, 2 nodes with CPUs, 1 a socket"));
  std::filesystem::remove_all(root_ + "/sys/devices/system/node/node1");
  WriteNode(0, "0-3", 128, 4);
  ExpectAdvice(Machine("nodes_per_socket"), "2 sockets, 1 nodes", "NPS1");
}

TEST_F(Doctor, UnevenNodes) {
  WriteNode(1, "2-3", 32, 4);
  ExpectAdvice(Machine("node_memory"), "node 1 has 32.0 GiB", "modules");
}

TEST_F(Doctor, ANodeFullOfCachedFiles) {
  WriteNode(1, "2-3", 64, 40);
  ExpectAdvice(Machine("page_cache"), "4.0 GiB on node 0, 40.0 GiB on node 1",
               "drop_caches");
}

TEST_F(Doctor, HugePagePools) {
  const std::string pool =
      "/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/";
  Write(pool + "nr_hugepages", "16");
  Write(pool + "free_hugepages", "12");
  EXPECT_THAT(Machine("huge_page_pools").found,
              HasSubstr("node 1 has 16 of 1.0 GiB, 12 free"));
}

TEST_F(Doctor, Limits) {
  WriteLimits("8388608", "1024");
  ExpectAdvice(Limit("locked_memory"), "8.0 MiB", "LimitMEMLOCK=infinity");
  ExpectAdvice(Limit("open_files"), "1024 files", "LimitNOFILE=4352");
}

TEST_F(Doctor, LimitsOfTheCgroupAndThoseAboveIt) {
  const std::string cgroup = "/sys/fs/cgroup/system.slice/";
  Write(cgroup + "mlad.service/memory.max", "max");
  Write(cgroup + "mlad.service/cpu.max", "max 100000");
  EXPECT_EQ(Limit("cgroup_memory").verdict, Verdict::kGood);
  EXPECT_EQ(Limit("cgroup_cpu").verdict, Verdict::kGood);
  Write(cgroup + "memory.max", std::to_string(8 * kGiB));
  Write(cgroup + "cpu.max", "200000 100000");
  EXPECT_EQ(Limit("cgroup_memory", 4 * kGiB).verdict, Verdict::kGood);
  const Finding memory = Limit("cgroup_memory", 9 * kGiB);
  EXPECT_EQ(memory.verdict, Verdict::kFailed);
  EXPECT_THAT(memory.found, HasSubstr("8.0 GiB at most"));
  ExpectAdvice(Limit("cgroup_cpu"), "200000 100000", "CPUQuota");
}

TEST(CpuList, IsParsed) {
  EXPECT_THAT(ParseCpuList("0-2,8"), testing::ElementsAre(0, 1, 2, 8));
  EXPECT_THAT(ParseCpuList(""), IsEmpty());
  EXPECT_THAT(ParseCpuList("x"), IsEmpty());
}

}  // namespace
}  // namespace mlad
