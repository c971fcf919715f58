#include "engine/prefix_cache.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr FormMask kExpanded = 0xFFFFFFFFu;
constexpr FormMask kAbsorbed = 0;

class PrefixCacheTest : public testing::Test {
 protected:
  static std::vector<int32_t> Tokens(int pages, int32_t first = 0) {
    std::vector<int32_t> tokens(pages * kPagePositions);
    for (size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = first + static_cast<int32_t>(i);
    }
    return tokens;
  }
  /// A prompt of the tokens, of which all (or none) are complete chunks.
  static PageForms Expanded(const std::vector<int32_t>& tokens) {
    return {static_cast<int64_t>(tokens.size()), kPagePositions};
  }
  static PageForms Absorbed() { return {0, kPagePositions}; }

  /// Adds a text's pages in the forms given, pinned by nobody.
  void Add(const std::vector<int32_t>& tokens,
           const std::vector<FormMask>& forms, int first_node = 0) {
    PageTable table;
    table.first_node = first_node;
    ASSERT_TRUE(pages_.Grow(table, static_cast<int64_t>(tokens.size())).ok());
    PrefixCache::Entry* last = nullptr;
    for (size_t page = 0; page < forms.size(); ++page) {
      const PrefixCache::Key key = {last, first_node,
                                    absl::MakeConstSpan(tokens).subspan(
                                        page * kPagePositions, kPagePositions),
                                    forms[page]};
      PrefixCache::Entry* entry = cache_.FindExact(key);
      if (entry == nullptr) entry = cache_.Insert(key, table.pages[page]);
      cache_.MovePin(entry);
      last = entry;
    }
    pages_.Release(table);
    cache_.Unpin(last);
  }
  PrefixCache::Match Find(const std::vector<int32_t>& tokens,
                          const PageForms& forms, bool exact_only = false) {
    return cache_.Find(tokens, forms,
                       static_cast<int64_t>(tokens.size()) / kPagePositions,
                       exact_only);
  }

  PageAllocator pages_{{16, 16}};
  PrefixCache cache_{pages_};
};

TEST_F(PrefixCacheTest, FindsTheLongestBeginning) {
  std::vector<int32_t> text = Tokens(3);
  Add(text, {kExpanded, kExpanded, kExpanded});
  EXPECT_EQ(Find(text, Expanded(text)).pages.size(), 3u);
  EXPECT_EQ(cache_.Find(text, Expanded(text), 2, false).pages.size(), 2u);
  text[40] = 999;
  EXPECT_EQ(Find(text, Expanded(text)).pages.size(), 1u);
  text[0] = 999;
  EXPECT_THAT(Find(text, Expanded(text)).pages, IsEmpty());
  EXPECT_EQ(Find(text, Expanded(text)).last, nullptr);
}

TEST_F(PrefixCacheTest, APageIsFoundAfterItsOwnBeginningOnly) {
  // The same second page after two first ones.
  std::vector<int32_t> one = Tokens(2);
  std::vector<int32_t> other = one;
  other[3] = 999;
  Add(one, {kExpanded, kExpanded});
  EXPECT_THAT(Find(other, Expanded(other)).pages, IsEmpty());
  Add(other, {kExpanded});
  EXPECT_EQ(Find(other, Expanded(other)).pages.size(), 1u);
}

TEST_F(PrefixCacheTest, OtherFormsAreInexact) {
  const std::vector<int32_t> text = Tokens(3);
  Add(text, {kExpanded, kAbsorbed, kAbsorbed});
  const PrefixCache::Match match = Find(text, Expanded(text));
  EXPECT_EQ(match.pages.size(), 3u);
  EXPECT_EQ(match.exact_pages, 1);
  EXPECT_THAT(match.forms, ElementsAre(kExpanded, kAbsorbed, kAbsorbed));
  EXPECT_EQ(Find(text, Expanded(text), true).pages.size(), 1u);
  EXPECT_THAT(Find(text, Absorbed(), true).pages, IsEmpty());
}

TEST_F(PrefixCacheTest, PrefersTheLongestThenTheMostExact) {
  const std::vector<int32_t> text = Tokens(3);
  Add(text, {kExpanded, kAbsorbed, kAbsorbed});
  Add(Tokens(2), {kExpanded, kExpanded});
  PrefixCache::Match match = Find(text, Expanded(text));
  EXPECT_EQ(match.pages.size(), 3u);
  EXPECT_EQ(match.exact_pages, 1);
  Add(text, {kExpanded, kExpanded, kAbsorbed});
  match = Find(text, Expanded(text));
  EXPECT_EQ(match.pages.size(), 3u);
  EXPECT_EQ(match.exact_pages, 2);
}

TEST_F(PrefixCacheTest, AnExactPageAfterAnInexactOneIsInexact) {
  const std::vector<int32_t> text = Tokens(2);
  Add(text, {kAbsorbed, kExpanded});
  EXPECT_EQ(Find(text, Expanded(text)).exact_pages, 0);
}

TEST_F(PrefixCacheTest, KnowsWhichNodeASequenceBeganOn) {
  const std::vector<int32_t> text = Tokens(2);
  Add(text, {kExpanded, kExpanded}, 1);
  const PrefixCache::Match match = Find(text, Expanded(text));
  EXPECT_EQ(match.first_node, 1);
  EXPECT_EQ(match.pages.at(0).node, 1);
  EXPECT_EQ(match.pages.at(1).node, 0);
}

TEST_F(PrefixCacheTest, HoldsPagesUntilTheyAreEvicted) {
  Add(Tokens(2), {kExpanded, kExpanded});
  EXPECT_EQ(pages_.used_pages(0) + pages_.used_pages(1), 2);
  EXPECT_EQ(cache_.evictable_pages(0), 1);
  EXPECT_EQ(cache_.evictable_pages(1), 1);
  EXPECT_TRUE(cache_.EvictOne());
  EXPECT_EQ(cache_.evictable_pages(1), 0) << "the last page goes first";
  EXPECT_EQ(pages_.used_pages(1), 0);
  EXPECT_TRUE(cache_.EvictOne());
  EXPECT_FALSE(cache_.EvictOne());
  EXPECT_EQ(cache_.size(), 0);
  EXPECT_EQ(cache_.evictions(), 2);
}

TEST_F(PrefixCacheTest, EvictsWhatWasUsedLeastRecently) {
  const std::vector<int32_t> old = Tokens(1, 0);
  const std::vector<int32_t> used = Tokens(1, 1000);
  const std::vector<int32_t> young = Tokens(1, 2000);
  for (const auto& text : {old, used, young}) Add(text, {kExpanded});
  const PrefixCache::Match match = Find(used, Expanded(used));
  cache_.Pin(match.last);
  cache_.Unpin(match.last);
  EXPECT_TRUE(cache_.EvictOne());
  EXPECT_THAT(Find(old, Expanded(old)).pages, IsEmpty());
  EXPECT_TRUE(cache_.EvictOne());
  EXPECT_THAT(Find(young, Expanded(young)).pages, IsEmpty());
  EXPECT_EQ(Find(used, Expanded(used)).pages.size(), 1u);
}

TEST_F(PrefixCacheTest, WhatIsPinnedAndWhatComesBeforeItStays) {
  const std::vector<int32_t> text = Tokens(3);
  Add(text, {kExpanded, kExpanded, kExpanded});
  const PrefixCache::Match match = cache_.Find(text, Expanded(text), 2, false);
  cache_.Pin(match.last);
  EXPECT_EQ(cache_.evictable_pages(0) + cache_.evictable_pages(1), 1);
  EXPECT_TRUE(cache_.EvictOne());
  EXPECT_FALSE(cache_.EvictOne());
  EXPECT_EQ(Find(text, Expanded(text)).pages.size(), 2u);
  cache_.Unpin(match.last);
  EXPECT_EQ(cache_.evictable_pages(0) + cache_.evictable_pages(1), 2);
  EXPECT_TRUE(cache_.EvictOne());
  EXPECT_EQ(Find(text, Expanded(text)).pages.size(), 1u);
}

}  // namespace
}  // namespace mlad
