#include "quant/kv_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using ::testing::HasSubstr;

TEST(KvType, NamesParseBack) {
  for (KvType type : kAllKvTypes) {
    const auto parsed = ParseKvType(KvTypeName(type));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, type);
  }
}

TEST(KvType, UnknownNameIsQuotedAndTheTypesListed) {
  const auto parsed = ParseKvType("q5_0");
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("\"q5_0\""));
  EXPECT_THAT(std::string(parsed.status().message()),
              HasSubstr("f16, bf16, q8_0, q8_kv, q6_0"));
}

TEST(KvType, BytesOfALatentRowOfPublishedModels) {
  EXPECT_EQ(*KvRowBytes(KvType::kF16, 576), 1152);
  EXPECT_EQ(*KvRowBytes(KvType::kBF16, 576), 1152);
  EXPECT_EQ(*KvRowBytes(KvType::kQ8_0, 576), 612);
  EXPECT_EQ(*KvRowBytes(KvType::kQ8KV, 576), 584);
  EXPECT_EQ(*KvRowBytes(KvType::kQ6_0, 576), 468);
}

TEST(KvType, LengthsThatATypeCannotHoldAreRefused) {
  EXPECT_EQ(*KvRowBytes(KvType::kF16, 7), 14);
  EXPECT_EQ(*KvRowBytes(KvType::kQ8KV, 36), 44);
  for (KvType type : {KvType::kQ8_0, KvType::kQ6_0}) {
    const auto bytes = KvRowBytes(type, 80);
    EXPECT_EQ(bytes.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(bytes.status().message()),
                HasSubstr(std::string(KvTypeName(type))));
    EXPECT_THAT(std::string(bytes.status().message()), HasSubstr("80"));
  }
  EXPECT_FALSE(KvRowBytes(KvType::kQ8KV, 34).ok());
  for (KvType type : kAllKvTypes) {
    EXPECT_FALSE(KvRowBytes(type, 0).ok());
    EXPECT_FALSE(KvRowBytes(type, -32).ok());
  }
}

}  // namespace
}  // namespace mlad
