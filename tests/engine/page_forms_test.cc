#include "engine/page_forms.h"

#include <gtest/gtest.h>

namespace mlad {
namespace {

TEST(PageForms, CompleteChunksOfThePromptAreExpanded) {
  const PageForms forms(100, 40);  // expanded up to 80
  EXPECT_EQ(forms.Mask(0), 0xFFFFFFFFu);
  EXPECT_EQ(forms.Mask(1), 0xFFFFFFFFu);
  EXPECT_EQ(forms.Mask(2), 0x0000FFFFu);
  EXPECT_EQ(forms.Mask(3), 0u);
  EXPECT_EQ(forms.Mask(1000), 0u);
  EXPECT_TRUE(forms.IsExpanded(79));
  EXPECT_FALSE(forms.IsExpanded(80));
  EXPECT_EQ(forms.RunEnd(0), 80);
  EXPECT_EQ(forms.RunEnd(79), 80);
  EXPECT_GT(forms.RunEnd(80), 1'000'000);
}

TEST(PageForms, APromptShorterThanAChunkIsAbsorbed) {
  const PageForms forms(39, 40);
  EXPECT_EQ(forms.Mask(0), 0u);
  EXPECT_FALSE(forms.IsExpanded(0));
}

TEST(PageForms, TakenOverPagesKeepTheirs) {
  PageForms forms(200, 64);  // by itself expanded up to 192
  forms.TakeOver({0xFFFFFFFFu, 0x000000FFu, 0u});
  EXPECT_EQ(forms.RunEnd(0), 40);
  EXPECT_FALSE(forms.IsExpanded(40));
  EXPECT_EQ(forms.RunEnd(40), 96);
  EXPECT_TRUE(forms.IsExpanded(96));
  EXPECT_EQ(forms.RunEnd(96), 192);
  EXPECT_EQ(forms.Mask(1), 0xFFu);
  EXPECT_EQ(forms.Mask(3), 0xFFFFFFFFu);
  EXPECT_EQ(forms.Mask(6), 0u);
}

}  // namespace
}  // namespace mlad
