#include <gtest/gtest.h>

#include "kernels/kernels.h"

namespace mlad {
namespace {

TEST(Peak, CountsTheSameOperationsEveryRound) {
  for (const KernelTable* kernels : SupportedKernels()) {
    SCOPED_TRACE(std::string(IsaName(kernels->isa)));
    EXPECT_EQ(kernels->peak_int8(0), 0);
    EXPECT_GT(kernels->peak_int8(1), 0);
    EXPECT_EQ(kernels->peak_int8(1000), 1000 * kernels->peak_int8(1));
    EXPECT_GT(kernels->peak_f32(1), 0);
    EXPECT_EQ(kernels->peak_f32(1000), 1000 * kernels->peak_f32(1));
  }
}

}  // namespace
}  // namespace mlad
