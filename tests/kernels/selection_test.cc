#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cpu_features.h"
#include "kernels/kernels.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;

TEST(SupportedKernels, EndWithScalarAndHaveEveryFunction) {
  ASSERT_FALSE(SupportedKernels().empty());
  EXPECT_EQ(SupportedKernels().back()->isa, Isa::kScalar);
  for (const KernelTable* kernels : SupportedKernels()) {
    SCOPED_TRACE(std::string(IsaName(kernels->isa)));
    EXPECT_NE(kernels->quantize_activations, nullptr);
    EXPECT_NE(kernels->matmul, nullptr);
    EXPECT_NE(kernels->gemm, nullptr);
    EXPECT_NE(kernels->rms_norm, nullptr);
    EXPECT_NE(kernels->silu_mul, nullptr);
    EXPECT_NE(kernels->softmax_update, nullptr);
    EXPECT_NE(kernels->scale, nullptr);
    EXPECT_NE(kernels->encode_latent, nullptr);
    EXPECT_NE(kernels->decode_latent, nullptr);
    EXPECT_NE(kernels->absorbed_tile, nullptr);
    EXPECT_NE(kernels->peak_int8, nullptr);
    EXPECT_NE(kernels->peak_f32, nullptr);
  }
}

TEST(SelectKernels, EmptyNameIsTheBestTable) {
  ASSERT_TRUE(SelectKernels("").ok());
  EXPECT_EQ(*SelectKernels(""), SupportedKernels().front());
}

TEST(SelectKernels, NamesSelectTheirTable) {
  for (const KernelTable* kernels : SupportedKernels()) {
    const auto selected = SelectKernels(IsaName(kernels->isa));
    ASSERT_TRUE(selected.ok()) << selected.status();
    EXPECT_EQ(*selected, kernels);
  }
}

TEST(SelectKernels, UnknownNameListsTheNames) {
  const auto selected = SelectKernels("neon");
  EXPECT_EQ(selected.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(selected.status().message()), HasSubstr("\"neon\""));
  EXPECT_THAT(std::string(selected.status().message()),
              HasSubstr("scalar, avx2, avx512 or amx"));
}

TEST(FindKernels, TablesThatCannotRunSayWhy) {
  for (Isa isa : kAllIsas) {
    const auto found = FindKernels(isa);
    if (found.ok()) {
      EXPECT_EQ((*found)->isa, isa);
      continue;
    }
    EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(found.status().message()),
                HasSubstr(std::string(IsaName(isa))));
    EXPECT_THAT(std::string(found.status().message()), HasSubstr("scalar"));
  }
}

TEST(MissingFeatures, NamesWhatIsMissing) {
  const CpuFeatures none;
  EXPECT_EQ(MissingFeatures(RequiredFeatures(Isa::kScalar), none), "");
  EXPECT_EQ(MissingFeatures(RequiredFeatures(Isa::kAvx2), none), "AVX2, FMA");
  EXPECT_EQ(MissingFeatures(RequiredFeatures(Isa::kAvx512),
                            RequiredFeatures(Isa::kAvx2)),
            "AVX512F, AVX512BW, AVX512DQ, AVX512VL, AVX512_VNNI");
  EXPECT_EQ(MissingFeatures(RequiredFeatures(Isa::kAmx),
                            RequiredFeatures(Isa::kAvx512)),
            "AMX_TILE, AMX_INT8");
}

}  // namespace
}  // namespace mlad
