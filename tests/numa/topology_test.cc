#include "numa/topology.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwloc.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "numa/cpu_list.h"
#include "numa/thread_binding.h"

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::unique_ptr<Topology> Make(const TopologyOptions& options) {
  auto topology = Topology::Create(options);
  EXPECT_TRUE(topology.ok()) << topology.status();
  return topology.ok() ? *std::move(topology) : nullptr;
}

std::string Error(const TopologyOptions& options,
                  absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const auto topology = Topology::Create(options);
  EXPECT_EQ(topology.status().code(), code) << topology.status();
  return std::string(topology.status().message());
}

/// hwloc 2.9 does not free what it had read when it meets an error.
#ifdef __SANITIZE_ADDRESS__
using HwlocLosesMemory = __lsan::ScopedDisabler;
#else
struct HwlocLosesMemory {
  HwlocLosesMemory() {}
};
#endif

std::vector<int> Iota(int first, int count) {
  std::vector<int> values(count);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST(Topology, DualSocketOf96) {
  const auto topology = Make({.source = "pack:2 [numa] core:96 pu:1"});
  ASSERT_EQ(topology->node_count(), 2);
  EXPECT_FALSE(topology->is_this_machine());
  EXPECT_EQ(topology->real_node_count(), 2);
  for (int n = 0; n < 2; ++n) {
    const NodeDescription& node = topology->nodes()[n];
    EXPECT_EQ(node.node, n);
    EXPECT_EQ(node.os_index, n);
    EXPECT_EQ(node.package, n);
    EXPECT_FALSE(node.simulated);
    EXPECT_EQ(node.cpus, Iota(96 * n, 96));
    EXPECT_EQ(node.memory_bytes, 0);  // not stated
  }
  EXPECT_THAT(topology->notes(), testing::IsEmpty());
}

TEST(Topology, OneWorkerPerCoreBySiblings) {
  const auto topology = Make({.source = "pack:2 [numa] core:4 pu:2"});
  EXPECT_THAT(topology->nodes()[0].cpus, ElementsAre(0, 2, 4, 6));
  EXPECT_EQ(topology->nodes()[0].cores, 4);
  EXPECT_EQ(topology->nodes()[0].hardware_threads, 8);
  const auto all =
      Make({.source = "pack:2 [numa] core:4 pu:2", .threads_per_node = 6});
  EXPECT_THAT(all->nodes()[1].cpus, ElementsAre(8, 10, 12, 14, 9, 11));
}

TEST(Topology, FourNodesPerSocket) {
  const auto topology =
      Make({.source = "pack:2 group:4 [numa] l3:3 core:8 pu:2"});
  ASSERT_EQ(topology->node_count(), 8);
  std::set<int> groups;
  for (const NodeDescription& node : topology->nodes()) {
    EXPECT_EQ(node.package, node.node / 4);
    ASSERT_EQ(node.cpus.size(), 24u);
    for (int w = 0; w < 24; ++w) {
      EXPECT_EQ(node.l3_groups[w], node.node * 3 + w / 8);
      groups.insert(node.l3_groups[w]);
    }
  }
  EXPECT_EQ(groups.size(), 24u);
}

TEST(Topology, FewWorkersSpreadOverTheCaches) {
  const auto topology =
      Make({.source = "pack:1 [numa] l3:4 core:8 pu:1", .threads_per_node = 4});
  EXPECT_THAT(topology->nodes()[0].cpus, ElementsAre(0, 8, 16, 24));
  EXPECT_THAT(topology->nodes()[0].l3_groups, ElementsAre(0, 1, 2, 3));
}

TEST(Topology, NoL3IsSaidSo) {
  const auto topology = Make({.source = "pack:1 [numa] core:2 pu:1"});
  EXPECT_THAT(topology->nodes()[0].l3_groups, ElementsAre(-1, -1));
}

TEST(Topology, NodesWithoutMemoryOrCpusAreLeftOutWithANote) {
  const auto without_memory = Make(
      {.source = "pack:2 [numa(memory=0)] core:2 pu:1 [numa(memory=4GiB)]"});
  ASSERT_NE(without_memory, nullptr);
  EXPECT_THAT(without_memory->notes(),
              testing::Contains(HasSubstr("has no memory")));
  // Memory at the whole machine comes after a package's own.
  const auto far = Make(
      {.source =
           "[numa(memory=100GiB)] pack:2 [numa(memory=4GiB)] core:2 pu:1"});
  ASSERT_EQ(far->node_count(), 2);
  EXPECT_EQ(far->real_node_count(), 3);
  EXPECT_EQ(far->nodes()[1].memory_bytes, int64_t{4} << 30);
  EXPECT_THAT(far->notes(),
              testing::Contains(HasSubstr("NUMA node 2 has no usable CPUs")));
}

TEST(Topology, OfTwoMemoriesTheLargerIsUsed) {
  const auto topology = Make({.source = "pack:2 [numa(memory=64GiB)] "
                                        "[numa(memory=512GiB)] core:4 pu:1"});
  ASSERT_EQ(topology->node_count(), 2);
  EXPECT_EQ(topology->nodes()[0].memory_bytes, int64_t{512} << 30);
}

TEST(Topology, NodesNarrowAndSplit) {
  const auto one = Make({.source = "pack:2 [numa] core:4 pu:1", .nodes = 1});
  ASSERT_EQ(one->node_count(), 1);
  EXPECT_FALSE(one->nodes()[0].simulated);
  EXPECT_THAT(one->notes(), ElementsAre(HasSubstr("1 of the machine's 2")));

  const auto three =
      Make({.source = "pack:2 [numa(memory=8GiB)] core:4 pu:1", .nodes = 3});
  ASSERT_EQ(three->node_count(), 3);
  EXPECT_TRUE(three->nodes()[0].simulated);
  EXPECT_TRUE(three->nodes()[1].simulated);
  EXPECT_FALSE(three->nodes()[2].simulated);
  EXPECT_THAT(three->nodes()[1].cpus, ElementsAre(2, 3));
  EXPECT_EQ(three->nodes()[1].os_index, 0);
  EXPECT_EQ(three->nodes()[1].memory_bytes, int64_t{4} << 30);
  EXPECT_THAT(three->notes(), ElementsAre(HasSubstr("simulated")));
}

TEST(Topology, SimulatedNodesShareCoresWhenThereAreFewer) {
  const auto topology = Make({.source = "pack:1 [numa] core:2 pu:1",
                              .nodes = 4,
                              .threads_per_node = 3});
  ASSERT_EQ(topology->node_count(), 4);
  EXPECT_THAT(topology->nodes()[0].cpus, ElementsAre(0, 0, 0));
  EXPECT_THAT(topology->nodes()[3].cpus, ElementsAre(1, 1, 1));
}

TEST(Topology, CpusNarrowTheMachine) {
  const auto topology =
      Make({.source = "pack:2 [numa] core:4 pu:2", .cpus = "0-1,4,8-15"});
  ASSERT_EQ(topology->node_count(), 2);
  EXPECT_THAT(topology->nodes()[0].cpus, ElementsAre(0, 4));
  EXPECT_EQ(topology->nodes()[0].hardware_threads, 3);
  EXPECT_THAT(topology->nodes()[1].cpus, ElementsAre(8, 10, 12, 14));
  EXPECT_THAT(topology->notes(),
              ElementsAre(HasSubstr("5 of the machine's 16 hardware threads")));

  const auto second =
      Make({.source = "pack:2 [numa] core:4 pu:2", .cpus = "8-15"});
  ASSERT_EQ(second->node_count(), 1);
  EXPECT_EQ(second->nodes()[0].os_index, 1);
}

TEST(Topology, BadOptionsSayWhatToChange) {
  const std::string dual = "pack:2 [numa] core:4 pu:2";
  EXPECT_THAT(Error({.source = dual, .nodes = -1}), HasSubstr("use 1 to 32"));
  EXPECT_THAT(Error({.source = dual, .nodes = 33}), HasSubstr("use 1 to 32"));
  EXPECT_THAT(Error({.source = dual, .threads_per_node = -2}),
              HasSubstr("use 1 or more"));
  EXPECT_THAT(
      Error({.source = dual, .threads_per_node = 9}),
      HasSubstr("4 usable cores with 8 hardware threads; use at most 8"));
  EXPECT_THAT(Error({.source = dual, .nodes = 4, .threads_per_node = 257}),
              HasSubstr("use at most 256"));
  EXPECT_THAT(Error({.source = dual, .cpus = "0,99"}),
              HasSubstr("CPU 99 was asked for"));
  EXPECT_THAT(Error({.source = dual, .cpus = "0,99"}), HasSubstr("0-15"));
  EXPECT_THAT(Error({.source = dual, .cpus = "3-1"}), HasSubstr("'3-1'"));
}

TEST(Topology, MalformedSyntheticStrings) {
  const HwlocLosesMemory leak;
  for (const char* source :
       {"pack", "pack:", "pack:2 [numa", "nonsense:3", "pack:-1 core:2",
        "pack:2 [numa] core:0 pu:1", ":", "[numa]", "0",
        "pack:2 [numa(memory=x)] core:1 pu:1 )("}) {
    const auto topology = Topology::Create({.source = source});
    EXPECT_FALSE(topology.ok()) << source;
    EXPECT_THAT(std::string(topology.status().message()), HasSubstr(source));
  }
}

TEST(Topology, HugeSyntheticStringsAreRefusedBeforeTheyAreBuilt) {
  EXPECT_THAT(Error({.source = "pack:1000000 [numa] core:1000000 pu:2"}),
              HasSubstr("more than 65536 hardware threads"));
  EXPECT_THAT(Error({.source = "pack:99999999999999999999 core:2 pu:1"}),
              HasSubstr("65536"));
}

class XmlTopology : public testing::Test {
 protected:
  void TearDown() override { std::remove(path_.c_str()); }

  std::string Write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  /// What hwloc exports for a synthetic machine.
  std::string Export(const char* synthetic) {
    hwloc_topology_t topology = nullptr;
    EXPECT_EQ(hwloc_topology_init(&topology), 0);
    EXPECT_EQ(hwloc_topology_set_synthetic(topology, synthetic), 0);
    EXPECT_EQ(hwloc_topology_load(topology), 0);
    EXPECT_EQ(hwloc_topology_export_xml(topology, path_.c_str(), 0), 0);
    hwloc_topology_destroy(topology);
    return path_;
  }

  const std::string path_ = testing::TempDir() + "mlad_topology_" +
                            std::to_string(::getpid()) + ".xml";
};

TEST_F(XmlTopology, IsPlannedLikeTheMachineItCameFrom) {
  const auto topology =
      Make({.source = Export("pack:2 [numa(memory=64GiB)] l3:2 core:4 pu:2")});
  ASSERT_NE(topology, nullptr);
  EXPECT_FALSE(topology->is_this_machine());
  ASSERT_EQ(topology->node_count(), 2);
  EXPECT_EQ(topology->nodes()[1].memory_bytes, int64_t{64} << 30);
  EXPECT_THAT(topology->nodes()[1].cpus,
              ElementsAre(16, 18, 20, 22, 24, 26, 28, 30));
}

TEST_F(XmlTopology, DistancesAndAttributesAreRead) {
  hwloc_topology_t raw = nullptr;
  ASSERT_EQ(hwloc_topology_init(&raw), 0);
  ASSERT_EQ(hwloc_topology_set_synthetic(raw,
                                         "pack:2 [numa(memory=1GiB)] "
                                         "core:2 pu:1"),
            0);
  ASSERT_EQ(hwloc_topology_load(raw), 0);
  hwloc_obj_t nodes[2] = {hwloc_get_obj_by_type(raw, HWLOC_OBJ_NUMANODE, 0),
                          hwloc_get_obj_by_type(raw, HWLOC_OBJ_NUMANODE, 1)};
  hwloc_uint64_t values[4] = {10, 32, 31, 10};
  void* handle = hwloc_distances_add_create(
      raw, "NUMALatency",
      HWLOC_DISTANCES_KIND_FROM_OS | HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0);
  ASSERT_NE(handle, nullptr);
  ASSERT_EQ(hwloc_distances_add_values(raw, handle, 2, nodes, values, 0), 0);
  ASSERT_EQ(hwloc_distances_add_commit(raw, handle, 0), 0);
  hwloc_location from = {};
  from.type = HWLOC_LOCATION_TYPE_CPUSET;
  from.location.cpuset = nodes[1]->cpuset;
  ASSERT_EQ(hwloc_memattr_set_value(raw, HWLOC_MEMATTR_ID_BANDWIDTH, nodes[1],
                                    &from, 0, 460800),
            0);
  ASSERT_EQ(hwloc_topology_export_xml(raw, path_.c_str(), 0), 0);
  hwloc_topology_destroy(raw);

  const auto topology = Make({.source = path_});
  ASSERT_NE(topology, nullptr);
  EXPECT_EQ(topology->Distance(0, 0), 10);
  EXPECT_EQ(topology->Distance(0, 1), 32);
  EXPECT_EQ(topology->Distance(1, 0), 31);
  EXPECT_THAT(topology->nodes()[1].distances, ElementsAre(31, 10));
  EXPECT_EQ(topology->nodes()[0].bandwidth_mb_s, 0);
  EXPECT_EQ(topology->nodes()[1].bandwidth_mb_s, 460800);
}

TEST_F(XmlTopology, MalformedFilesAreNamed) {
  const std::string good = [&] {
    std::ifstream file(Export("pack:2 [numa] core:2 pu:1"));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  const HwlocLosesMemory leak;
  for (const std::string& text :
       {std::string(), std::string("not xml"), std::string("<topology>"),
        std::string("<?xml version=\"1.0\"?><topology></topology>"),
        good.substr(0, good.size() / 2)}) {
    EXPECT_THAT(Error({.source = Write(text)}), HasSubstr(path_));
  }
}

TEST(Topology, MissingXmlFileIsNamed) {
  EXPECT_THAT(Error({.source = "/nowhere/machine.xml"}),
              testing::AllOf(HasSubstr("/nowhere/machine.xml"),
                             HasSubstr("No such file")));
}

TEST(Topology, NoDistancesWhereNoneAreTold) {
  const auto topology = Make({.source = "pack:2 [numa] core:2 pu:1"});
  EXPECT_EQ(topology->Distance(0, 1), std::nullopt);
  EXPECT_TRUE(topology->nodes()[0].distances.empty());
}

TEST(Topology, ThisMachineHasItsCpusAndMemory) {
  const auto topology = Make({});
  EXPECT_TRUE(topology->is_this_machine());
  std::set<int> cpus;
  for (const NodeDescription& node : topology->nodes()) {
    EXPECT_GT(node.memory_bytes, 0);
    cpus.insert(node.cpus.begin(), node.cpus.end());
  }
  for (int cpu : cpus) {
    EXPECT_THAT(AllowedCpus(), testing::Contains(cpu));
  }
}

TEST(Topology, HonoursTheAffinityItWasStartedWithNotItsOwnBindings) {
  const auto whole = Make({});
  const std::vector<int> all = AllowedCpus();
  ASSERT_TRUE(BindThisThread(whole->handle(), {all.back()}).ok());
  const auto bound = Make({});
  EXPECT_EQ(bound->nodes()[0].cpus, whole->nodes()[0].cpus);
  UnbindThisThread(whole->handle());
  EXPECT_EQ(AllowedCpus(), all);
  EXPECT_THAT(BoundCpus(), testing::IsEmpty());
}

TEST(ThreadBinding, ACpuThatIsNotThereIsNamed) {
  const auto topology = Make({});
  const absl::Status status = BindThisThread(topology->handle(), {4000});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("CPU 4000"));
  UnbindThisThread(topology->handle());
}

TEST(CpuList, RoundTrip) {
  for (const char* text : {"0", "0-3", "0-3,8", "1,3,5-7", "65535"}) {
    EXPECT_EQ(FormatCpuList(*ParseCpuList(text)), text);
  }
  EXPECT_THAT(*ParseCpuList("3, 1-2,2"), ElementsAre(1, 2, 3));
  EXPECT_EQ(FormatCpuList({}), "");
}

TEST(CpuList, WhatIsNotAListIsRefused) {
  for (const char* text : {"", ",", "a", "1-", "-1", "1--2", "1-2-3", "2-1",
                           "0x1", "65536", "99999999999999999999", "1,,2"}) {
    EXPECT_FALSE(ParseCpuList(text).ok()) << text;
  }
}

}  // namespace
}  // namespace mlad
