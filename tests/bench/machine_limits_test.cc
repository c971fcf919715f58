#include "bench/machine_limits.h"

#include <gtest/gtest.h>

namespace mlad {
namespace {

TEST(MeasureLimits, EveryTableHasPlausibleLimits) {
  const auto topology = Topology::Create({.nodes = 1, .threads_per_node = 1});
  ASSERT_TRUE(topology.ok()) << topology.status();
  const auto executor = Executor::Create(**topology);
  ASSERT_TRUE(executor.ok()) << executor.status();
  for (const KernelTable* kernels : SupportedKernels()) {
    SCOPED_TRACE(std::string(IsaName(kernels->isa)));
    const auto limits = MeasureLimits(
        **topology, **executor, *kernels,
        {.bytes_per_node = 16 << 20, .passes = 2, .peak_s = 1e-3});
    ASSERT_TRUE(limits.ok()) << limits.status();
    // One core: more than a floppy disk's, less than any machine's.
    EXPECT_GT(limits->read_bytes_per_s, 1e7);
    EXPECT_LT(limits->read_bytes_per_s, 1e12);
    EXPECT_GT(limits->int8_ops_per_s, 1e7);
    EXPECT_LT(limits->int8_ops_per_s, 1e14);
    EXPECT_GT(limits->f32_ops_per_s, 1e7);
    EXPECT_LT(limits->f32_ops_per_s, 1e13);
  }
}

TEST(MachineLimits, TheBestOfTwoRuns) {
  MachineLimits limits = {1, 20, 3};
  limits |= {2, 10, 4};
  EXPECT_EQ(limits.read_bytes_per_s, 2);
  EXPECT_EQ(limits.int8_ops_per_s, 20);
  EXPECT_EQ(limits.f32_ops_per_s, 4);
}

}  // namespace
}  // namespace mlad
