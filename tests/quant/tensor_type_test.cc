#include "quant/tensor_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using ::testing::HasSubstr;

TEST(TensorType, SupportedTypesHaveTheSizesOfTheFormat) {
  struct Expected {
    uint32_t id;
    const char* name;
    int elements;
    int bytes;
  };
  constexpr Expected kExpected[] = {
      {0, "F32", 1, 4},        {1, "F16", 1, 2},
      {2, "Q4_0", 32, 18},     {3, "Q4_1", 32, 20},
      {6, "Q5_0", 32, 22},     {7, "Q5_1", 32, 24},
      {8, "Q8_0", 32, 34},     {10, "Q2_K", 256, 84},
      {11, "Q3_K", 256, 110},  {12, "Q4_K", 256, 144},
      {13, "Q5_K", 256, 176},  {14, "Q6_K", 256, 210},
      {20, "IQ4_NL", 32, 18},  {23, "IQ4_XS", 256, 136},
      {30, "BF16", 1, 2},      {16, "IQ2_XXS", 256, 66},
      {17, "IQ2_XS", 256, 74}, {18, "IQ3_XXS", 256, 98},
      {19, "IQ1_S", 256, 50},  {21, "IQ3_S", 256, 110},
      {22, "IQ2_S", 256, 82},  {29, "IQ1_M", 256, 56},
      {39, "MXFP4", 32, 17},
  };
  for (const Expected& expected : kExpected) {
    SCOPED_TRACE(expected.name);
    const auto info = FindTensorType(expected.id);
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->name, expected.name);
    EXPECT_EQ(info->block_elements, expected.elements);
    EXPECT_EQ(info->block_bytes, expected.bytes);
    EXPECT_EQ(TensorRowBytes(info->type, 512),
              512 / expected.elements * expected.bytes);
  }
}

TEST(TensorType, KnownButUnsupportedTypesAreNamed) {
  struct Named {
    uint32_t id;
    const char* name;
  };
  constexpr Named kNamed[] = {{9, "Q8_1"},   {15, "Q8_K"},  {26, "I32"},
                              {28, "F64"},   {34, "TQ1_0"}, {35, "TQ2_0"},
                              {40, "NVFP4"}, {41, "Q1_0"}};
  for (const Named& type : kNamed) {
    const auto info = FindTensorType(type.id);
    EXPECT_EQ(info.status().code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(info.status().message()), HasSubstr(type.name));
    EXPECT_THAT(std::string(info.status().message()), HasSubstr("Q8_0"));
  }
}

TEST(TensorType, UnknownNumbersAreInvalid) {
  for (uint32_t id : {43u, 1000u, 0xFFFFFFFFu}) {
    const auto info = FindTensorType(id);
    EXPECT_EQ(info.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(info.status().message()),
                HasSubstr(std::to_string(id)));
  }
}

}  // namespace
}  // namespace mlad
