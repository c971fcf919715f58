// Entries of the prefix cache that outlive it.
#include "engine/prefix_directory.h"

#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/prefix_cache.h"

namespace mlad {
namespace {

constexpr int kNodes = 2;
constexpr int64_t kPages = 40;  // of each node

class PrefixDirectoryTest : public testing::Test {
 protected:
  PrefixDirectoryTest() { Restart(); }

  /// As a new process: the notes stay, all else begins anew.
  void Restart() {
    cache_.reset();
    pages_ =
        std::make_unique<PageAllocator>(std::vector<int64_t>(kNodes, kPages));
    cache_ = std::make_unique<PrefixCache>(*pages_, Directory());
  }
  PrefixDirectory Directory() {
    std::vector<absl::Span<std::byte>> notes;
    for (auto& node : notes_) notes.push_back(absl::MakeSpan(node));
    return PrefixDirectory(std::move(notes));
  }
  static std::vector<int32_t> Tokens(int pages, int32_t first = 0) {
    std::vector<int32_t> tokens(pages * kPagePositions);
    for (size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = first + static_cast<int32_t>(i);
    }
    return tokens;
  }
  /// Adds a text's pages, all absorbed; returns them.
  std::vector<PageRef> Add(const std::vector<int32_t>& tokens,
                           int first_node = 0) {
    PageTable table;
    table.first_node = first_node;
    EXPECT_TRUE(pages_->Grow(table, static_cast<int64_t>(tokens.size())).ok());
    const std::vector<PageRef> result = table.pages;
    PrefixCache::Entry* last = nullptr;
    for (size_t page = 0; page < result.size(); ++page) {
      PrefixCache::Entry* const entry =
          cache_->Insert({last, first_node,
                          absl::MakeConstSpan(tokens).subspan(
                              page * kPagePositions, kPagePositions),
                          0},
                         result[page]);
      cache_->MovePin(entry);
      last = entry;
    }
    pages_->Release(table);
    cache_->Unpin(last);
    return result;
  }
  std::vector<int32_t> Found(const std::vector<int32_t>& tokens) {
    const auto match = cache_->Find(
        tokens, PageForms(0, kPagePositions),
        static_cast<int64_t>(tokens.size()) / kPagePositions, true);
    std::vector<int32_t> places;
    for (const PageRef page : match.pages) {
      places.push_back(page.node * 1000 + page.index);
    }
    return places;
  }
  std::byte* Note(PageRef page) {
    return notes_[page.node].data() + page.index * kPageNoteBytes;
  }
  int64_t UsedPages() const {
    return pages_->used_pages(0) + pages_->used_pages(1);
  }

  std::vector<std::vector<std::byte>> notes_{
      kNodes, std::vector<std::byte>(kPages* kPageNoteBytes)};
  std::unique_ptr<PageAllocator> pages_;
  std::unique_ptr<PrefixCache> cache_;
};

TEST_F(PrefixDirectoryTest, AllIsFoundAgainAtItsPlace) {
  const auto one = Tokens(5);
  const auto other = Tokens(3, 70'000);
  Add(one);
  Add(other, 1);
  const auto places = Found(one);
  ASSERT_EQ(places.size(), 5u);
  const auto other_places = Found(other);
  Restart();
  EXPECT_EQ(Found(one), places);
  EXPECT_EQ(Found(other), other_places);
  EXPECT_EQ(UsedPages(), 8);
  // Held by the cache alone: all can be had again.
  while (cache_->EvictOne()) {
  }
  EXPECT_EQ(UsedPages(), 0);
}

TEST_F(PrefixDirectoryTest, WhatWasEvictedIsNotFoundAgain) {
  const auto tokens = Tokens(5);
  Add(tokens);
  ASSERT_TRUE(cache_->EvictOne());  // the last page
  Restart();
  EXPECT_EQ(Found(tokens).size(), 4u);
  EXPECT_EQ(UsedPages(), 4);
}

TEST_F(PrefixDirectoryTest, ADamagedNoteTakesWhatComesAfterItAlong) {
  const auto tokens = Tokens(5);
  const auto pages = Add(tokens);
  *(Note(pages[2]) + 30) ^= std::byte{1};
  Restart();
  EXPECT_EQ(Found(tokens).size(), 2u);
  EXPECT_EQ(UsedPages(), 2);
  EXPECT_EQ(Directory().Pages().size(), 2u);
}

TEST_F(PrefixDirectoryTest, ANoteAtAnotherPageIsNone) {
  const auto tokens = Tokens(2);
  const auto pages = Add(tokens);
  const PageRef elsewhere = {pages[0].node, 7};
  std::copy(Note(pages[0]), Note(pages[0]) + kPageNoteBytes, Note(elsewhere));
  EXPECT_FALSE(Directory().Read(elsewhere).has_value());
}

TEST_F(PrefixDirectoryTest, APageOnTheWrongNodeOrTwiceInAChainIsRefused) {
  PageRecord record;
  record.first_node = 0;
  Directory().Write({1, 0}, record);  // position 0 belongs to node 0
  record.first_node = 17;
  Directory().Write({0, 1}, record);
  record.first_node = 0;
  record.parent = {0, 2};  // of itself
  Directory().Write({0, 2}, record);
  Restart();
  EXPECT_EQ(UsedPages(), 0);
  EXPECT_TRUE(Directory().Pages().empty());
}

TEST_F(PrefixDirectoryTest, EveryMomentOfWritingLeavesNothingOrAll) {
  const auto tokens = Tokens(1);
  const auto pages = Add(tokens);
  const std::vector<std::byte> whole(Note(pages[0]),
                                     Note(pages[0]) + kPageNoteBytes);
  // Without its check, which is written last, the note is empty.
  for (int i = 0; i < 8; ++i) *(Note(pages[0]) + i) = std::byte{0};
  EXPECT_FALSE(Directory().Read(pages[0]).has_value());
  std::copy(whole.begin(), whole.end(), Note(pages[0]));
  EXPECT_TRUE(Directory().Read(pages[0]).has_value());
}

}  // namespace
}  // namespace mlad
