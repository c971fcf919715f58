#include "daemon/nearest_name.h"

#include "gtest/gtest.h"

namespace mlad {
namespace {

TEST(EditDistance, CountsEachKindOfEdit) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("kv", "kv"), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("abc", ""), 3);
  EXPECT_EQ(EditDistance("contxt", "context"), 1);    // insertion
  EXPECT_EQ(EditDistance("contextt", "context"), 1);  // deletion
  EXPECT_EQ(EditDistance("contaxt", "context"), 1);   // substitution
  EXPECT_EQ(EditDistance("cnotext", "context"), 1);   // swap
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(NearestName, IsTheOneWithTheFewestEdits) {
  const std::vector<std::string> names = {"max_queued", "max_sequences",
                                          "model"};
  EXPECT_EQ(NearestName("max_queue", names), "max_queued");
  EXPECT_EQ(NearestName("max_sequence", names), "max_sequences");
  EXPECT_EQ(NearestName("mdoel", names), "model");
}

TEST(NearestName, IsNoneWhenNothingIsNear) {
  EXPECT_EQ(NearestName("frobnicate", {"model", "kv"}), std::nullopt);
  EXPECT_EQ(NearestName("", {"model"}), std::nullopt);
  EXPECT_EQ(NearestName("x", {}), std::nullopt);
  EXPECT_EQ(NearestName(std::string(10'000, 'k'), {"kv"}), std::nullopt);
}

}  // namespace
}  // namespace mlad
